import { MillraceError } from '../core/errors.ts'
import { type AnyEventType, type DataInputOf, type Event, maxKeyBytes } from '../core/event.ts'
import { storableJson } from '../core/event-codec.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { Entry, Offset } from '../log/port.ts'
import type { AddressOf, SendTarget, SentTo } from './addressing.ts'
import { chainAttributes } from './chain.ts'
import type {
  EmitOptions,
  HandlerContext,
  HandlerDefinition,
  OnceOptions,
  StateAccess,
  StateSchemas,
} from './definitions.ts'
import { type Admitted, checkAttributes, type Door } from './door.ts'
import type { KeptValue } from './known-values.ts'
import type { EventAttributes } from './made-event.ts'
import type { PartitionState } from './partition-state.ts'
import { dueTime } from './publisher.ts'
import { rememberedKeys } from './remembered.ts'
import { AttemptCell, type DeclaredCell, type KnownCells } from './state-cells.ts'
import { stateLayout } from './state-layout.ts'
import type { StopRegistry } from './stop-registry.ts'

/** What one attempt is about. */
export interface AttemptSubject {
  readonly definition: HandlerDefinition
  readonly event: Event
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly key: string
  readonly attempt: number
  readonly silent: boolean
  readonly redriven: boolean
  /** What is known of its cells, where that is kept from one attempt at its key to the next. */
  readonly known?: KnownCells | undefined
}

/** What an attempt works with. */
export interface AttemptTools {
  readonly state: PartitionState
  readonly runtime: Runtime
  readonly logger: Logger
  readonly door: Door
  readonly addressOf: AddressOf
  readonly hopLimit: number
  /** Of the handler that is attempted. */
  readonly cells: readonly DeclaredCell[]
  /** Aborts running attempts: the claim is lost, or stopping has waited long enough. */
  readonly stop: StopRegistry
  /** Makes sure that a topic exists before something is appended to it; undefined where it is known to. */
  ensureTopic(name: string): Promise<void> | undefined
}

/** A value that is to be put, and what was known of its key. */
type StatePut = readonly [key: string, value: string, kept?: KeptValue | undefined]

/** What an attempt leaves behind when it succeeds. */
export interface Effects {
  readonly puts: readonly StatePut[]
  readonly deletes: readonly string[]
  readonly appends: readonly Entry[]
}

/** What most attempts leave behind. */
export const noEffects: Effects = Object.freeze({ puts: [], deletes: [], appends: [] })

/**
 * What an attempt has emitted, and what it has emitted before. No list of literals: while a process starts, all of them outlive a
 * collection of its few young objects, and V8 then takes them for such as live long, and with them all that they refer to.
 */
class Emitted {
  admitted: Admitted | Promise<Admitted>
  readonly dueMs: number | undefined
  readonly before: Emitted | undefined

  constructor(
    admitted: Admitted | Promise<Admitted>,
    dueMs: number | undefined,
    before: Emitted | undefined,
  ) {
    this.admitted = admitted
    this.dueMs = dueMs
    this.before = before
  }
}

/**
 * The context of one attempt. Everything it does is kept aside until the attempt has succeeded; only `once` commits on its
 * own. When the attempt is over or has timed out it is revoked, and every further use throws `CONTEXT_REVOKED`.
 */
export class AttemptContext implements HandlerContext {
  readonly state: StateAccess<StateSchemas>
  readonly #subject: AttemptSubject
  readonly #tools: AttemptTools
  // What most attempts have none of is made when it is used.
  #emitted: Emitted | undefined
  readonly #cells: Readonly<Record<string, AttemptCell>>
  #onceNames: Set<string> | undefined
  #revoked = false
  /** Made when it is asked for: most handlers never do. */
  #controller: AbortController | undefined
  #abortReason: { readonly value: unknown } | undefined

  constructor(subject: AttemptSubject, tools: AttemptTools) {
    this.#subject = subject
    this.#tools = tools
    this.#cells = tools.cells.length === 0 ? noCells : this.#makeCells()
    this.state = this.#cells
  }

  get attempt(): number {
    return this.#subject.attempt
  }

  get silent(): boolean {
    return this.#subject.silent
  }

  get redriven(): boolean {
    return this.#subject.redriven
  }

  get log(): Logger {
    return this.#tools.logger
  }

  now(): number {
    return this.#tools.runtime.now()
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason.value)
    }
    return this.#controller.signal
  }

  emit<T extends AnyEventType>(type: T, data: DataInputOf<T>, options: EmitOptions = {}): void {
    this.#use('emit')
    checkOptionNames('emit', options, emitNames)
    this.#emit(type, data, options, undefined)
  }

  /** For rules: an event as {@link emit} would emit it; {@link append} emits it. */
  admit<T extends AnyEventType>(
    type: T,
    data: DataInputOf<T>,
    options: EmitOptions,
  ): Admitted | Promise<Admitted> {
    this.#use('emit')
    checkAttributes({ subject: options.subject }, type.type)
    return this.#tools.door.admit(type, data, this.#attributes(options))
  }

  send<Target extends SendTarget | string, T extends SentTo<Target>>(
    handler: Target,
    type: T,
    data: DataInputOf<T>,
    options: EmitOptions = {},
  ): void {
    this.#use('send')
    checkOptionNames('send', options, emitNames)
    this.#emit(type, data, options, this.#tools.addressOf(handler, type))
  }

  #emit(type: AnyEventType, data: unknown, options: EmitOptions, millraceto: string | undefined): void {
    const { subject, datacontenttype } = options
    if (subject !== undefined || datacontenttype !== undefined)
      checkAttributes({ subject, datacontenttype }, type.type)
    const isLater = options.delay !== undefined || options.at !== undefined
    const dueMs = isLater ? dueTime(options, this.now()) : undefined
    if (this.silent) return
    this.#keep(this.#tools.door.admit(type, data, this.#attributes(options, millraceto)), dueMs)
  }

  /** For rules: an event as it is, for one handler or in another topic. */
  admitForward(event: Event, to: { readonly topic: string } | { readonly millraceto: string }): Admitted {
    const { millracereplyto: _, ...rest } = event
    const isMoved = 'topic' in to
    const extension = isMoved ? { millracemoved: true } : to
    const { hops, millracepath } = chainAttributes(event, this.#subject.definition.name, this.#tools.hopLimit)
    const path = millracepath === undefined ? {} : { millracepath }
    const forwarded: Event = { ...rest, ...extension, hops, ...path }
    const topic = isMoved ? to.topic : this.#subject.topic
    return this.#tools.door.admitEvent(forwarded, topic, false)
  }

  /** For rules: appends what was admitted when this attempt succeeds. */
  append(admitted: Admitted): void {
    this.#use('emit')
    this.#keep(admitted, undefined)
  }

  async once<Result>(
    name: string,
    run: (idempotencyKey: string, signal: AbortSignal) => Promise<Result> | Result,
    options: OnceOptions<Result> = {},
  ): Promise<Result> {
    this.#use('once')
    const { definition, topic, partition, offset } = this.#subject
    checkOnceName(name)
    checkOptionNames('once', options, onceNames)
    this.#onceNames ??= new Set()
    if (this.#onceNames.has(name)) {
      throw new MillraceError('NAME_REPEATED', `once('${name}') is used twice in one run.`, {
        where: `handler '${definition.name}'`,
        fix: 'Give every once of a run a name of its own, for example with an index.',
      })
    }
    this.#onceNames.add(name)
    if (this.silent) return options.whenSilent as Result
    const { state } = this.#tools
    const key = stateLayout.once(definition.name, topic, offset, name)
    const remembered = await state.get(key)
    if (remembered !== undefined) return (JSON.parse(remembered) as { value: Result }).value
    // What this event builds on must be durable first: the outside world cannot be taken back.
    await state.flush()
    this.#use('once')
    const value = await run(`${definition.name}/${topic}/${partition}/${offset}/${name}`, this.signal)
    state.stage({ puts: [[key, storableJson(value === undefined ? {} : { value }, `once('${name}')`)]] })
    await state.flush()
    this.#use('once')
    return value
  }

  /** Aborts the signal of the handler. */
  abort(reason: unknown): void {
    this.#abortReason ??= { value: reason }
    this.#controller?.abort(reason)
  }

  /** Ends the use of this context. */
  revoke(): void {
    this.#revoked = true
  }

  /** What the attempt did; later where some of it waits to be validated. Rejects when some of it was refused. */
  effects(): Effects | Promise<Effects> {
    const { attempt, redriven } = this.#subject
    // Earlier attempts may have remembered under names that this one has not used.
    const mayRemember = (attempt > 1 || redriven) && this.#tools.state.mayRemember
    if (mayRemember || !this.#isReady()) return this.#collectLater(mayRemember)
    const isQuiet = this.#emitted === undefined && this.#cells === noCells && this.#onceNames === undefined
    return isQuiet ? noEffects : this.#collect(none)
  }

  /** Whether nothing that was emitted waits. */
  #isReady(): boolean {
    for (let emitted = this.#emitted; emitted !== undefined; emitted = emitted.before)
      if (emitted.admitted instanceof Promise) return false
    return true
  }

  async #collectLater(mayRemember: boolean): Promise<Effects> {
    for (let emitted = this.#emitted; emitted !== undefined; emitted = emitted.before)
      emitted.admitted = await emitted.admitted
    if (!mayRemember) return this.#collect(none)
    const { definition, topic, offset } = this.#subject
    const place = { handler: definition.name, topic, offset }
    return this.#collect(await rememberedKeys(this.#tools.state, place))
  }

  #collect(remembered: string[]): Effects {
    const { definition, topic, offset } = this.#subject
    let puts: StatePut[] = none
    let deletes = remembered
    let appends: Entry[] = none
    for (const name in this.#cells) {
      const cell = this.#cells[name] as AttemptCell
      const { isWritten, written, stateKey } = cell
      if (!isWritten) continue
      if (written === undefined) deletes = withOneMore(deletes, stateKey)
      else puts = withOneMore(puts, [stateKey, written, cell.known])
    }
    for (let emitted = this.#emitted; emitted !== undefined; emitted = emitted.before) {
      const { admitted, dueMs } = emitted as { admitted: Admitted; dueMs: number | undefined }
      if (dueMs === undefined) appends = withOneMore(appends, admitted.entry)
      else puts = withOneMore(puts, timerPut(admitted, dueMs))
    }
    // The last one came first.
    appends.reverse()
    for (const name of this.#onceNames ?? none)
      deletes = withOneMore(deletes, stateLayout.once(definition.name, topic, offset, name))
    const isNothing = puts === none && deletes === none && appends === none
    return isNothing ? noEffects : { puts, deletes, appends }
  }

  #attributes({ subject, datacontenttype }: EmitOptions, millraceto?: string): EventAttributes {
    const { event, definition } = this.#subject
    const chain = chainAttributes(event, definition.name, this.#tools.hopLimit)
    return { subject, datacontenttype, millraceto, ...chain }
  }

  #keep(admitted: Admitted | Promise<Admitted>, dueMs: number | undefined): void {
    const ready =
      admitted instanceof Promise ? admitted.then((later) => this.#placed(later)) : this.#placed(admitted)
    // A rejection is met by effects(); until then it must not count as unhandled.
    if (ready instanceof Promise) ready.catch(() => {})
    this.#emitted = new Emitted(ready, dueMs, this.#emitted)
  }

  /** What was admitted, once its topic is there. */
  #placed(admitted: Admitted): Admitted | Promise<Admitted> {
    return this.#tools.ensureTopic(admitted.entry.topic)?.then(() => admitted) ?? admitted
  }

  /** Throws once this attempt is over. */
  useState(): void {
    this.#use('state')
  }

  #makeCells(): Readonly<Record<string, AttemptCell>> {
    const { cells, state } = this.#tools
    const made: Record<string, AttemptCell> = {}
    const { key, known = [] } = this.#subject
    for (const declared of cells) made[declared.name] = new AttemptCell(declared, this, state, { key, known })
    return made
  }

  #use(what: string): void {
    if (!this.#revoked) return
    const { definition, attempt } = this.#subject
    throw new MillraceError('CONTEXT_REVOKED', `ctx.${what} was used after attempt ${attempt} had ended.`, {
      where: `handler '${definition.name}'`,
      fix: 'Await everything before the handler returns, and stop when ctx.signal aborts.',
    })
  }
}

const none: never[] = []
const noCells: Readonly<Record<string, AttemptCell>> = Object.freeze({})

/** A list with one more: that of most attempts has one, and an empty list that grows makes room for many. */
function withOneMore<T>(list: T[], one: T): T[] {
  if (list.length === 0) return [one]
  list.push(one)
  return list
}

function timerPut({ event, entry }: Admitted, dueMs: number): [string, string] {
  const text = Buffer.from(entry.value).toString('utf8')
  return [stateLayout.timer(dueMs, event.id), JSON.stringify({ topic: entry.topic, event: text })]
}

const emitNames = optionNames<EmitOptions>({ subject: true, datacontenttype: true, delay: true, at: true })
const onceNames = optionNames<OnceOptions<unknown>>({ whenSilent: true })

function checkOnceName(name: unknown): void {
  if (typeof name === 'string' && name.isWellFormed() && Buffer.byteLength(name) <= maxKeyBytes) return
  throw new TypeError(`the name of a once must be a string of valid Unicode, of at most ${maxKeyBytes} bytes`)
}
