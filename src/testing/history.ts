import { discardType, type RedriveRequest, redriveType } from '../bus/dead-letter-requests.ts'
import type { Event } from '../core/event.ts'
import type { ExpectedVersion } from '../eventstore/append-request.ts'
import type { Offset } from '../log/port.ts'
import type { Finding } from '../log/verification.ts'
import { type Witness, witnessOf, witnessTopic } from './witness.ts'

/** A record of the log, in the order in which records became visible over all topics and partitions. */
export interface LoggedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly event: Event
  /**
   * Records of one number became visible in the same step, or came by one commit: nothing is known about their order across
   * topics.
   */
  readonly step: number
}

/** What the rules that hold at a record's place say of it. */
export interface RuledRecord {
  /** Whether they keep it from the handlers of its topic. */
  readonly hidden: boolean
  /** The types of the events that they emit for it. */
  readonly emits: readonly string[]
  /** The handlers that it is sent to, */
  readonly sends: readonly string[]
  /** and the topics that it is moved to. */
  readonly moves: readonly string[]
}

/** The records that rules have a say in. */
export type RuledRecords = ReadonlyMap<LoggedRecord, RuledRecord>

/** A publish that was acknowledged. */
export interface AcknowledgedEvent {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly id: string
  readonly source: string
  /** When it is due, for one published with a delay. */
  readonly dueMs: number | undefined
  /** How many records the log had when waiting for its handlers ended, for one that was handled. */
  readonly handledAt?: number
}

/** What `once` gave to an attempt. */
export interface OnceObservation {
  readonly name: string
  /** Names the run whose result it was. */
  readonly run: string
}

/** What an attempt emitted. */
export interface EmitObservation {
  readonly type: string
  /** When it is due, for one emitted with a delay. */
  readonly dueMs?: number
}

/** One run of a handler. */
export interface Attempt {
  /** Unique in the history. */
  readonly nonce: string
  readonly handler: string
  /** The process, with how often it had been started. */
  readonly process: string
  /** How many claims that process had been given on the key's partition. */
  readonly claim: number
  readonly source: string
  readonly id: string
  readonly type: string
  readonly key: string
  readonly silent: boolean
  readonly redriven: boolean
  /** Places in the order of everything that attempts did; `endedAt` is absent while it runs, or for ever after a crash. */
  readonly beganAt: number
  endedAt?: number
  outcome?: 'returned' | 'threw'
  readonly emits: EmitObservation[]
  readonly once: OnceObservation[]
  /** What the handler of a command returned. */
  decision?: CommandDecision
}

/** How a command was decided, as its handler returned it or its result says. */
export type CommandDecision =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly failure: unknown }

/** What somebody was told of a command. */
export interface ToldResult {
  readonly source: string
  readonly id: string
  /** The decision; or that its handler gave up, that it is still to be handled, or that there is nothing to tell. */
  readonly told: CommandDecision | 'given up' | 'pending' | 'unknown'
  /** How many records the log had by then. */
  readonly at: number
  /** Whether everything had settled by then. */
  readonly isFinal: boolean
}

/** What whoever appends to a stream was told. */
export interface ToldAppend {
  readonly stream: string
  /** Of the stream. */
  readonly id: string
  /** The id of the append. */
  readonly append: string
  readonly expectedVersion: ExpectedVersion
  /** How many events it has. */
  readonly count: number
  /** How it was done; the version because of which it was refused; or nothing, for who has not waited for the answer. */
  readonly told:
    | { readonly version: number; readonly ids: readonly string[] }
    | { readonly conflict: number }
    | 'nothing'
}

/** A record that a handler gave up on. */
export interface DeadLetter {
  readonly handler: string
  readonly source: string
  readonly id: string
  readonly attempts: number
  /** Its index in {@link History.log}. */
  readonly index: number
}

/** A key that is parked at the end. */
export interface ParkedKey {
  readonly handler: string
  readonly topic: string
  readonly key: string
  readonly first: Offset
  readonly last: Offset
  readonly dueMs: number | undefined
}

/** A key that is held back, as committed. */
export interface HeldKey {
  readonly key: string
  readonly first: Offset
  readonly last: Offset
}

/** A cursor as it was committed, with the keys that were held back at that moment. */
export interface CursorSample {
  readonly handler: string
  readonly topic: string
  readonly partition: number
  /** Everything below is done, */
  readonly cursor: Offset
  /** and these ranges `[from, to)` above it. */
  readonly done: readonly (readonly [Offset, Offset])[]
  readonly held: readonly HeldKey[]
  /** The step in which it was committed; see {@link LoggedRecord.step}. */
  readonly step: number
}

/** The state that the simulation keeps for each handler and key, as it is read at the end. */
export interface KeyLedger {
  readonly handler: string
  readonly key: string
  readonly last: string | undefined
  readonly count: number
}

/** A handler, as far as the invariants need it. */
export interface Subscription {
  readonly handler: string
  readonly kind: 'on' | 'every'
  readonly types: readonly string[]
  readonly fromStart: boolean
  readonly silent: boolean
  readonly whenExhausted: 'skip' | 'park'
  /** What a handler with a key of its own is ordered by; undefined for an event that has none. */
  readonly keyOf?: (data: unknown) => string | undefined
  /** Whether its filter lets an event through; undefined for a handler without one. */
  readonly wants?: (event: Event) => boolean
}

/** Everything that a simulation saw: what the invariants judge. */
export interface History {
  readonly subscriptions: readonly Subscription[]
  readonly acknowledged: readonly AcknowledgedEvent[]
  readonly attempts: readonly Attempt[]
  readonly log: readonly LoggedRecord[]
  readonly deadLetters: readonly DeadLetter[]
  readonly parked: readonly ParkedKey[]
  readonly ledgers: readonly KeyLedger[]
  readonly cursors: readonly CursorSample[]
  /** What requesters were told, and what everybody is told at the end, of every command that was acknowledged. */
  readonly results?: readonly ToldResult[]
  /** The streams of the application, and what appends to them were told. */
  readonly streams?: readonly { readonly name: string; readonly types: readonly string[] }[]
  readonly appends?: readonly ToldAppend[]
  /** What rules have to say of records. */
  readonly ruled?: RuledRecords
  /** What a verification of the states of all partitions finds at the end. */
  readonly findings?: readonly Finding[]
  /** The last time of the simulation by the slowest clock, in milliseconds since 1970 UTC. */
  readonly endedMs: number
}

/** What an invariant found: one sentence for each breach. None when it holds. */
export type Invariant = (history: History) => readonly string[]

/** A witness at its place in {@link History.log}. */
export interface PlacedWitness extends Witness {
  readonly index: number
}

/** The witnesses of one phase in the log, in order. */
export function witnessesOf(history: History, phase: Witness['phase']): readonly PlacedWitness[] {
  const found: PlacedWitness[] = []
  for (const [index, record] of history.log.entries()) {
    if (record.topic !== witnessTopic) continue
    const witness = witnessOf(record.event)
    if (witness?.phase === phase) found.push({ ...witness, index })
  }
  return found
}

/** Names an event within a history. */
export function eventName(event: Pick<Event, 'source' | 'id'>): string {
  return `${event.source} ${event.id}`
}

/** Names what one handler makes of one event. */
export function deliveryName(handler: string, event: Pick<Event, 'source' | 'id'>): string {
  return `${handler} of ${event.source} ${event.id}`
}

/** The records that a handler is to be given, in the order of the log; those handed on by its own key where it has one. */
export function deliveriesTo(history: History, subscription: Subscription): readonly LoggedRecord[] {
  if (subscription.keyOf !== undefined) {
    return history.log.filter(
      ({ topic, event }) =>
        topic.startsWith('millrace.') &&
        topic.endsWith('.rekeyed') &&
        event.millraceto === subscription.handler,
    )
  }
  return recordsOf(history, subscription)
}

/** The records of the topics that a handler takes from, in the order of the log. */
export function recordsOf(history: History, subscription: Subscription): readonly LoggedRecord[] {
  if (subscription.kind === 'every') {
    return history.log.filter(
      ({ topic, event }) =>
        topic.startsWith('millrace.') &&
        topic.endsWith('.ticks') &&
        event.id.startsWith(`${subscription.handler}@`),
    )
  }
  return history.log.filter((record) => {
    const { topic, event } = record
    return (
      !topic.startsWith('millrace.') &&
      topic !== witnessTopic &&
      subscription.types.includes(event.type) &&
      event.millracemoved !== true &&
      history.ruled?.get(record)?.hidden !== true &&
      (event.millraceto === undefined || event.millraceto === subscription.handler) &&
      subscription.wants?.(event) !== false
    )
  })
}

/** What was asked to be handed back, by {@link deliveryName}. */
export function redrivenDeliveries(history: History): ReadonlySet<string> {
  return new Set([...askedOf(history, redriveType)].map(([delivery]) => delivery))
}

/** What requests of a type ask for, by {@link deliveryName}, each with its own record; in the order of the log. */
function* askedOf(history: History, type: string): Generator<readonly [string, LoggedRecord]> {
  const places = new Map(
    history.log.map((record) => [`${record.topic}/${record.partition} ${record.offset}`, record]),
  )
  for (const asking of history.log) {
    if (asking.event.type !== type) continue
    const { handler, topic, offset } = asking.event.data as RedriveRequest
    const record = places.get(`${topic}/${asking.partition} ${offset}`)
    if (record !== undefined) yield [deliveryName(handler, record.event), asking]
  }
}

/** Groups items by a name, keeping their order. */
export function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = nameOf(item)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}

/** When a handler finished an event. */
export interface Finish {
  /** See {@link LoggedRecord.step}. */
  readonly step: number
  /** The index of the witness in the log; undefined for a dead letter. */
  readonly index: number | undefined
}

/** When each event was finished for the first time, by {@link deliveryName}. */
export function finishSteps(history: History): ReadonlyMap<string, Finish> {
  const finishes = new Map<string, Finish>()
  const add = (name: string, finish: Finish) => {
    const known = finishes.get(name)
    if (known === undefined || finish.step < known.step) finishes.set(name, finish)
  }
  const stepOf = (index: number) => history.log[index]?.step ?? 0
  for (const witness of witnessesOf(history, 'done')) {
    add(deliveryName(witness.handler, witness), { step: stepOf(witness.index), index: witness.index })
  }
  for (const letter of history.deadLetters) {
    add(deliveryName(letter.handler, letter), { step: stepOf(letter.index), index: undefined })
  }
  return finishes
}

/**
 * When each event was finished for the first time by a handler that holds a key after exhausted attempts, by {@link deliveryName}:
 * a dead letter does not let go of the key, giving it up does.
 */
export function finishStepsOfHeld(history: History): ReadonlyMap<string, Finish> {
  const finishes = new Map(finishSteps({ ...history, deadLetters: [] }))
  for (const [delivery, { step }] of askedOf(history, discardType)) {
    if (!finishes.has(delivery)) finishes.set(delivery, { step, index: undefined })
  }
  return finishes
}
