import type { Event } from '../core/event.ts'
import { encodeEvent } from '../core/event-codec.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { Entry, Offset, Place } from '../log/port.ts'
import type { OpenDeadLetter } from './dead-letter.ts'
import { commandOf } from './definitions.ts'
import type { PartitionState, Step } from './partition-state.ts'
import { rememberedKeys } from './remembered.ts'
import { type ReplyTools, replyEntries } from './replies.ts'
import { resultPuts } from './results.ts'
import { stateLayout } from './state-layout.ts'
import type { Subscription } from './subscription.ts'
import type { InternalRecord } from './subscription-sink.ts'

/** The data of a request to hand a dead letter back. */
export interface RedriveRequest {
  readonly handler: string
  readonly topic: string
  readonly key: string
  readonly offset: Offset
}

/** The data of a request to give up a dead letter for good. The request stays in the log, and with it the reason. */
export interface DiscardRequest extends RedriveRequest {
  readonly reason: string
}

/** The event type of a {@link RedriveRequest}. */
export const redriveType = 'millrace.redrive'
/** The event type of a {@link DiscardRequest}. */
export const discardType = 'millrace.discard'

/** What is asked of the owner of a dead letter. */
export type Asked =
  | { readonly type: typeof redriveType; readonly data: RedriveRequest }
  | { readonly type: typeof discardType; readonly data: DiscardRequest }

/** What a request is made with. */
export interface RequestOrigin {
  readonly source: string
  readonly runtime: Pick<Runtime, 'now' | 'id'>
  /** The id of the request, which the reply to it names. */
  readonly id?: string
  /** Where it is waited for. */
  readonly replyTo?: string | undefined
}

/** The entry that asks the owner of a place to execute a request. */
export function requestEntry(at: Place, { type, data }: Asked, origin: RequestOrigin): Entry {
  const { source, runtime, id = runtime.id(), replyTo } = origin
  const timeMs = runtime.now()
  const event: Event = {
    specversion: '1.0',
    id,
    source,
    type,
    time: new Date(timeMs).toISOString(),
    partitionkey: data.key,
    ...(replyTo === undefined ? {} : { millracereplyto: replyTo }),
    data,
  }
  return { ...at, value: encodeEvent(event), timeMs }
}

/** What a partition executes requests with. */
export interface RequestTools {
  readonly state: PartitionState
  readonly runtime: Pick<Runtime, 'now'>
  readonly logger: Logger
  readonly subscriptions: readonly Subscription[]
  readonly replies: ReplyTools
  /** The smallest offset of a topic that can be read in this partition. */
  startOf(topic: string): Promise<Offset>
}

/** The value of the reply to a request, which names the request's event where replies name a handler. */
export interface RequestReply {
  /** Why it was passed over; absent when it was executed. */
  readonly passedOver?: string | undefined
}

/**
 * Executes requests of the partition's owner, read at once, in log order: each is staged together with its being done. A
 * request that names no open dead letter changes nothing, so asking twice is fine.
 */
export async function takeRequests(records: readonly InternalRecord[], tools: RequestTools): Promise<void> {
  const requests = records.map((record) => new Request(record, tools))
  // One that is being tried again can change while it is looked up; then all are looked up anew.
  do await Promise.all(requests.map((request) => request.lookUp()))
  while (requests.some((request) => request.isStale))
  // From here on nothing is awaited, so what was looked up holds for all of them but what they do themselves.
  const discarded = new Set<string>()
  for (const request of requests) request.execute(discarded)
}

/** One request, with what the state has of its dead letter. */
class Request {
  readonly #record: InternalRecord
  readonly #logger: Logger
  readonly #state: PartitionState
  readonly #runtime: Pick<Runtime, 'now'>
  readonly #replies: ReplyTools
  /** Undefined when it is malformed. */
  readonly #data: DiscardRequest | undefined
  /** Undefined when the handler is not there. */
  readonly #subscription: Subscription | undefined
  #open: OpenDeadLetter | undefined
  #remembered: readonly string[] = []
  #wasPending = false
  #isTrimmed = false
  readonly #startOf: RequestTools['startOf']

  constructor(record: InternalRecord, tools: RequestTools) {
    const { state, runtime, logger, subscriptions, replies } = tools
    const data = record.event.data as DiscardRequest
    this.#record = record
    this.#logger = logger
    this.#state = state
    this.#runtime = runtime
    this.#replies = replies
    this.#startOf = (topic) => tools.startOf(topic)
    this.#data = isPlace(data) ? data : undefined
    this.#subscription = subscriptions.find(({ definition, trackers }) => {
      return definition.name === this.#data?.handler && trackers.has(this.#data.topic)
    })
  }

  async lookUp(): Promise<void> {
    if (this.#data === undefined) return
    const { handler, topic, offset } = this.#data
    this.#wasPending = this.#isPending
    this.#remembered = await rememberedKeys(this.#state, this.#data)
    this.#isTrimmed = this.#subscription !== undefined && offset < (await this.#startOf(topic))
    const text = await this.#state.get(stateLayout.deadLetter(handler, topic, offset))
    this.#open = text === undefined ? undefined : (JSON.parse(text) as OpenDeadLetter)
  }

  get isStale(): boolean {
    return this.#wasPending && !this.#isPending
  }

  execute(discarded: Set<string>): void {
    const step = this.#step(discarded)
    if (typeof step === 'string') {
      this.#logger.warn({ request: this.#record.event.data }, `a request ${step}, and is passed over`)
      this.#record.stage({ appends: this.#reply(step) })
    } else this.#record.stage({ ...step, appends: [...(step.appends ?? []), ...this.#reply(undefined)] })
  }

  /** Tells whoever waits that the request was executed, or why not. */
  #reply(passedOver: string | undefined): readonly Entry[] {
    const reply = {
      handler: this.#record.event.id,
      outcome: 'handled' as const,
      value: { passedOver } satisfies RequestReply,
    }
    return replyEntries(this.#record.event, reply, this.#replies)
  }

  /** What it comes to, or why it is passed over. */
  #step(discarded: Set<string>): Step | string {
    const data = this.#data
    if (data === undefined) return 'names no place'
    const openKey = stateLayout.deadLetter(data.handler, data.topic, data.offset)
    if (this.#open?.key !== data.key || discarded.has(openKey)) return 'names no open dead letter'
    if (this.#record.event.type === redriveType && this.#isTrimmed)
      return 'names a record that retention has trimmed since (OFFSET_TRIMMED); it can only be discarded'
    if (this.#record.event.type === redriveType)
      return this.#subscription?.redrive(data) ?? 'names a handler that is not there'
    const step = this.#subscription === undefined ? {} : this.#subscription.discard(data)
    if (step === undefined) return 'names what is being tried again just now'
    discarded.add(openKey)
    const puts = [...(step.puts ?? []), ...this.#discardedResult(data)]
    return { ...step, puts, deletes: [...(step.deletes ?? []), openKey, ...this.#remembered] }
  }

  /** Whoever fetches the result of a discarded command is told why there is none. */
  #discardedResult(data: DiscardRequest): readonly (readonly [string, string])[] {
    const command = this.#subscription && commandOf(this.#subscription.definition)
    if (command === undefined) return []
    return resultPuts(command, data, { discarded: String(data.reason) }, this.#runtime.now())
  }

  get #isPending(): boolean {
    return this.#data !== undefined && this.#subscription?.isPending(this.#data) === true
  }
}

/** Anybody can append a request, so it may name anything. */
function isPlace(request: Partial<DiscardRequest> | null): request is DiscardRequest {
  const { handler, topic, key, offset } = request ?? {}
  const isName = (name: unknown) => typeof name === 'string' && /^[^/]{1,200}$/.test(name)
  return isName(handler) && isName(topic) && typeof key === 'string' && isOffset(offset)
}

function isOffset(offset: unknown): boolean {
  return Number.isSafeInteger(offset) && (offset as number) >= 0
}
