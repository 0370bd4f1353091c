import { openEngine } from '../../src/app/open-engine.ts'
import type { CursorDocument } from '../../src/bus/cursor-tracker.ts'
import { internalTopics, isInternalTopic } from '../../src/bus/internal-topics.ts'
import type { ParkedEntry } from '../../src/bus/parked-entry.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import type { Claim, LogEngine, Offset } from '../../src/log/port.ts'
import { deadLettersOf } from '../../src/testing/dead-letters.ts'
import type {
  AcknowledgedEvent,
  Attempt,
  CursorSample,
  HeldKey,
  History,
  KeyLedger,
  LoggedRecord,
  ParkedKey,
  ToldAppend,
  ToldResult,
} from '../../src/testing/history.ts'
import { streamsOf, subscriptionsOf, withDueTimes } from '../../src/testing/settlement.ts'
import { type Ledger, ledgerName, witnessOf } from '../../src/testing/witness.ts'
import { tortureApp } from './app.ts'
import { type ClaimSeen, type Ends, type JournalLine, type RecordPlace, readJournal } from './journal.ts'
import { allRecords, rowsOf } from './journaled-engine.ts'
import { within } from './out-of-time.ts'

/** What is known of a round besides what is on the disk. */
export interface KilledRound {
  /** The URL of the log, on which nobody works any more. */
  readonly log: string
  /** The journals of its processes. */
  readonly journals: readonly string[]
  /** What the parent was acknowledged; without a place where it only knows that the event is durable. */
  readonly acknowledged: readonly (Partial<RecordPlace> & { readonly id: string })[]
  /** What it was told of appends to streams. */
  readonly appends: readonly ToldAppend[]
  /** The ends of all places when nothing was left to do; undefined for a round that was cut off before. */
  readonly settled: Readonly<Record<string, Offset>> | undefined
}

/**
 * Puts together what the processes of a round wrote down and what the disk has, as the invariants judge it. Rejects with `OutOfTime`
 * where the log cannot be had in time.
 */
export async function readKilledHistory(round: KilledRound): Promise<History> {
  const isLate = lateness(round.settled ?? {})
  const disk = await readDisk(round.log)
  const merged = new MergedJournals(disk.records)
  // What one process wrote is in order already, and stays so.
  const lines = round.journals.flatMap(readJournal).sort((one, other) => one.atNs - other.atNs)
  for (const line of lines) merged.add(line)
  merged.finish()
  const log = merged.log.filter((record) => !isLate(record))
  const acknowledged = round.acknowledged.map((event) => acknowledgedEvent(event, log, merged.handledAt))
  return {
    subscriptions: subscriptionsOf(tortureApp),
    acknowledged: withDueTimes(acknowledged, log),
    attempts: merged.attempts,
    log,
    deadLetters: deadLettersOf(log),
    parked: disk.parked.filter(({ topic, partition, first }) => !isLate({ topic, partition, offset: first })),
    ledgers: disk.ledgers,
    cursors: merged.cursors,
    results: merged.results,
    streams: streamsOf(tortureApp),
    appends: round.appends,
    // What is delayed may not be due yet where it was cut off.
    endedMs: round.settled === undefined ? 0 : Number.MAX_SAFE_INTEGER,
  }
}

/**
 * Which records are not judged. The schedule goes on firing until the process is stopped or killed, so what fired after all was done may
 * not have been handled by then, and its key may be parked between two attempts: neither is a fault, and it is left out of both.
 */
function lateness(settled: Readonly<Record<string, Offset>>): (record: RecordPlace) => boolean {
  const { ticks } = internalTopics(tortureApp.name)
  return ({ topic, partition, offset }) =>
    topic === ticks && offset >= (settled[`${topic}/${partition}`] ?? 0)
}

function acknowledgedEvent(
  event: Partial<RecordPlace> & { readonly id: string },
  log: readonly LoggedRecord[],
  handledAt: ReadonlyMap<string, number>,
): Omit<AcknowledgedEvent, 'dueMs'> {
  const found = log.find((record) => record.event.id === event.id && !isInternalTopic(record.topic))
  const { topic = found?.topic, partition = found?.partition, offset = found?.offset } = event
  const at = handledAt.get(event.id)
  return {
    id: event.id,
    source: 'torture',
    topic: topic ?? 'nowhere',
    partition: partition ?? -1,
    offset: offset ?? -1,
    ...(at === undefined ? {} : { handledAt: at }),
  }
}

/** What the log has in the end. */
interface Disk {
  /** The records of each place, by `topic/partition`. */
  readonly records: ReadonlyMap<string, readonly Omit<LoggedRecord, 'step'>[]>
  readonly parked: readonly (ParkedKey & { readonly partition: number })[]
  readonly ledgers: readonly KeyLedger[]
}

async function readDisk(log: string): Promise<Disk> {
  const engine = await openEngine(log, { runtime: realRuntime() })
  try {
    const records = new Map<string, readonly Omit<LoggedRecord, 'step'>[]>()
    for (const { name: topic } of await engine.listTopics()) {
      for (let partition = 0; partition < engine.partitions; partition += 1) {
        const all = await allRecords(engine, { topic, partition })
        records.set(
          `${topic}/${partition}`,
          all.map(({ offset, value }) => ({ topic, partition, offset, event: decodeEvent(value) })),
        )
      }
    }
    const parked: (ParkedKey & { readonly partition: number })[] = []
    const ledgers: KeyLedger[] = []
    for (const claim of await claimsOf(engine)) {
      for (const [key, text] of await rowsOf(claim, 'parked/')) {
        parked.push({ ...parkedKey(key, text), partition: claim.partition })
      }
      for (const [key, text] of await rowsOf(claim, 'state/')) ledgers.push(...ledger(key, text))
    }
    return { records, parked, ledgers }
  } finally {
    await engine.close()
  }
}

const groups = [...new Set(tortureApp.handlers.map(({ options }) => options.group ?? tortureApp.name))]

async function claimsOf(engine: LogEngine): Promise<readonly Claim[]> {
  return (await Promise.all(groups.map((group) => allClaimsOf(engine, group)))).flat()
}

/** Waits for what processes have left behind that were killed a moment ago. */
function allClaimsOf(engine: LogEngine, group: string): Promise<readonly Claim[]> {
  const claims = new Map<number, Claim>()
  const all = new Promise<readonly Claim[]>((resolve, reject) => {
    const take = (claim: Claim) => {
      claims.set(claim.partition, claim)
      if (claims.size === engine.partitions) resolve([...claims.values()])
    }
    engine.join(group, { id: 'judge' }, take).catch(reject)
  })
  const what = () =>
    `claims on all partitions of group ${group} by its only member: it has ${[...claims.keys()]}`
  return within(all, what)
}

function parkedKey(row: string, text: string): ParkedKey {
  const [, handler = '', topic = '', ...rest] = row.split('/')
  const { first, last, dueMs } = JSON.parse(text) as ParkedEntry
  return { handler, topic, key: rest.join('/'), first, last, dueMs: dueMs ?? undefined }
}

function ledger(row: string, text: string): readonly KeyLedger[] {
  const [, handler = '', cell, ...rest] = row.split('/')
  const { last, count } = JSON.parse(text) as Ledger
  return cell === ledgerName ? [{ handler, key: rest.join('/'), last, count }] : []
}

/** The journals of processes as one order of all that happened. */
class MergedJournals {
  log: readonly LoggedRecord[] = []
  readonly attempts: Attempt[] = []
  readonly cursors: CursorSample[] = []
  readonly results: ToldResult[] = []
  /** How many records there were when waiting for the handlers of an event ended. */
  readonly handledAt = new Map<string, number>()
  readonly #records: Disk['records']
  /** In which step a record was seen for the first time, by `topic/partition offset`. */
  readonly #steps = new Map<string, number>()
  readonly #byNonce = new Map<string, { -readonly [Name in keyof Attempt]: Attempt[Name] }>()
  /** What is known once the order of all records is. */
  readonly #told: (() => void)[] = []
  #step = 0
  #order = 0

  constructor(records: Disk['records']) {
    this.#records = records
  }

  /** What no process was acknowledged comes last. */
  finish(): void {
    this.#step += 1
    this.log = this.#inOrder()
    for (const tell of this.#told) tell()
  }

  add(line: JournalLine): void {
    if ('appended' in line) {
      this.#step += 1
      for (const { topic, partition, offset } of line.appended) {
        this.#saw(`${topic}/${partition} ${offset}`)
      }
    } else if ('claimed' in line) this.#addClaim(line.claimed)
    else if ('handled' in line) {
      this.#told.push(() => this.handledAt.set(line.handled, this.#behind(line.ends)))
    } else if ('told' in line) {
      this.#told.push(() => this.results.push({ ...line.told, at: this.#behind(line.ends) }))
    } else this.#addAttempt(line)
  }

  #addAttempt(line: Extract<JournalLine, { begun: unknown } | { once: unknown } | { ended: unknown }>): void {
    this.#order += 1
    if ('begun' in line) {
      const attempt = { ...line.begun, beganAt: this.#order, emits: [], once: [] }
      this.#byNonce.set(attempt.nonce, attempt)
      this.attempts.push(attempt)
    } else if ('once' in line) {
      this.#byNonce.get(line.once.nonce)?.once.push(line.once.observation)
    } else {
      const { nonce, outcome, emits, decision } = line.ended
      const attempt = this.#byNonce.get(nonce)
      if (attempt === undefined) return
      attempt.endedAt = this.#order
      attempt.outcome = outcome
      if (decision !== undefined) attempt.decision = decision
      attempt.emits.push(...emits)
    }
  }

  /** An index of the log that is behind all that there was when places ended so. */
  #behind(ends: Ends): number {
    return (
      1 +
      this.log.findLastIndex(({ topic, partition, offset }) => offset < (ends[`${topic}/${partition}`] ?? 0))
    )
  }

  /** What earlier owners have finished is there by now, whether they came to writing it down or not. */
  #addClaim({ group, partition, rows, ends }: ClaimSeen): void {
    this.#step += 1
    for (const [place, end] of Object.entries(ends)) {
      for (const record of this.#records.get(place) ?? []) {
        // Others finish events in the same places at the same time.
        if (record.offset < end && finishingGroup(record) === group) this.#saw(`${place} ${record.offset}`)
      }
    }
    this.cursors.push(...this.#samples(partition, rows))
  }

  #saw(record: string): void {
    if (!this.#steps.has(record)) this.#steps.set(record, this.#step)
  }

  /** By the steps in which records were seen, and of one place by their offsets. */
  #inOrder(): readonly LoggedRecord[] {
    const placed: { readonly record: LoggedRecord; readonly order: number }[] = []
    for (const [place, records] of this.#records) {
      let order = 0
      for (const record of records) {
        const step = this.#steps.get(`${place} ${record.offset}`) ?? this.#step
        order = Math.max(order, step)
        placed.push({ record: { ...record, step }, order })
      }
    }
    return placed.sort((one, other) => one.order - other.order).map(({ record }) => record)
  }

  #samples(partition: number, rows: readonly (readonly [string, string])[]): CursorSample[] {
    return rows.flatMap(([key, text]) => {
      const [kind, handler = '', topic = ''] = key.split('/')
      if (kind !== 'subscription') return []
      const { cursor, done } = JSON.parse(text) as CursorDocument
      return [{ handler, topic, partition, cursor, done, held: held(rows, handler, topic), step: this.#step }]
    })
  }
}

/** The group that has finished an event by this record; undefined for other records. */
function finishingGroup({ topic, event }: Omit<LoggedRecord, 'step'>): string | undefined {
  const witness = witnessOf(event)
  if (witness !== undefined) return groupOf(witness.handler)
  return groups.find((group) => internalTopics(group).deadLetters === topic)
}

function groupOf(handler: string): string {
  return tortureApp.handlers.find(({ name }) => name === handler)?.options.group ?? tortureApp.name
}

function held(rows: readonly (readonly [string, string])[], handler: string, topic: string): HeldKey[] {
  const prefix = `parked/${handler}/${topic}/`
  return rows.flatMap(([key, text]) => {
    if (!key.startsWith(prefix)) return []
    const { first, last } = JSON.parse(text) as ParkedEntry
    return [{ key: key.slice(prefix.length), first, last }]
  })
}
