import type { Message, Subscription } from './client.ts'
import type { Connection, StoredMessage } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'

/** What becomes of a cursor. */
export interface CursorListener {
  /** `left` is how many messages the servers have behind this one, as of then. */
  message(message: StoredMessage, left: number): void
  /** What was pulled for has come, or its time is over: nothing comes until more is pulled for. */
  ended(): void
  /** The cursor is of no use any more, and another one has to be opened where this one stands. */
  lost(): void
}

const nanosecondsInMs = 1_000_000
/** The servers forget a cursor that nobody pulls by for so long. */
const forgottenAfterMs = 5 * 60_000
/** For how long one pull waits for messages. */
const pullMs = 4 * 60_000
/** While a pull waits the servers give a sign of life that often. */
const signOfLifeMs = 2_000
/** How often it is looked whether one came; if none comes in a moment either, the cursor is lost. */
const watchedEveryMs = 1.5 * signOfLifeMs
const momentMs = 250
/** While there is no consumer another one is asked for that often, and so many in all. */
const askedAgainMs = 500
const askedAtMost = 4
/** After so many signs of life in a row it is asked whether something waits that does not come. */
const signsBetweenLooks = 10

/**
 * Hands out the messages of a subject from a sequence on, in order, as they are stored: a consumer of the servers that is pulled by, so
 * that no more comes than was asked for. While nothing comes it costs a sign of life now and then.
 */
export class Cursor {
  readonly #connection: Connection
  readonly #stream: string
  readonly #consumer: string
  readonly #listener: CursorListener
  readonly #subscription: Subscription
  readonly #inbox: string
  #handed = 0
  #left = 0
  #pulling = false
  /** Counts signs of life, so that a watch can tell whether one came. */
  #signs = 0
  #watch = new AbortController()
  #closed = false

  private constructor(connection: Connection, stream: string, consumer: string, listener: CursorListener) {
    this.#connection = connection
    this.#stream = stream
    this.#consumer = consumer
    this.#listener = listener
    this.#inbox = connection.inbox()
    this.#subscription = connection.subscribe(this.#inbox, (message) => this.#take(message))
  }

  /** Opens one at the first message of `subject` whose sequence is at least `from`. */
  static async open(
    connection: Connection,
    at: { readonly stream: string; readonly subject: string; readonly from: number },
    listener: CursorListener,
  ): Promise<Cursor> {
    const { name } = await createConsumer(connection, at)
    return new Cursor(connection, at.stream, name, listener)
  }

  /** Whether a pull is under way. */
  get isPulling(): boolean {
    return this.#pulling
  }

  /** Asks for so many messages at most; call it when none are asked for. */
  pull(messages: number): void {
    if (this.#pulling || this.#closed) return
    this.#pulling = true
    const request = {
      batch: messages,
      expires: pullMs * nanosecondsInMs,
      idle_heartbeat: signOfLifeMs * nanosecondsInMs,
    }
    this.#connection.client.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`,
      Buffer.from(JSON.stringify(request)),
      { reply: this.#inbox },
    )
    this.#left = messages
    this.#connection.runtime.spawn('nats cursor', () => this.#watchOver())
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watch.abort()
    this.#subscription.unsubscribe()
    removeConsumer(this.#connection, this.#stream, this.#consumer)
  }

  #take(message: Message): void {
    if (this.#closed) return
    this.#signs += 1
    const status = message.headers?.code ?? 0
    if (status === 0) return void this.#hand(message)
    if (status === 100) return void this.#lookNowAndThen()
    // 404, 408: the pull is over. 409 says why it is, which may be that the consumer is gone. 503: nobody is there.
    const isOver =
      status === 404 ||
      status === 408 ||
      (status === 409 && !/delete|leader/i.test(message.headers?.description ?? ''))
    if (isOver) this.#ended()
    else this.#lose()
  }

  #hand(message: Message): void {
    const place = placeIn(message.reply ?? '')
    this.#handed += 1
    // One is missing.
    if (place === undefined || place.handed !== this.#handed) return void this.#lose()
    this.#left -= 1
    this.#listener.message(
      { sequence: place.sequence, subject: message.subject, data: message.data, headers: '' },
      place.left,
    )
    if (this.#left === 0) this.#ended()
  }

  #ended(): void {
    this.#pulling = false
    this.#watch.abort()
    this.#watch = new AbortController()
    this.#listener.ended()
  }

  #lose(): void {
    this.close()
    this.#listener.lost()
  }

  /**
   * A server that caught up with the others may not tell its consumers of what came that way (2.9 does not) until something more
   * is stored.
   */
  #lookNowAndThen(): void {
    if (this.#signs % signsBetweenLooks !== 0) return
    this.#connection.runtime.spawn('nats cursor', async () => {
      const handed = this.#handed
      const waiting = await this.#connection
        .call<ConsumerInfo>(`CONSUMER.INFO.${this.#stream}.${this.#consumer}`)
        .then((info) => info.num_pending > 0)
        .catch(isGone)
      if (waiting && this.#handed === handed && this.#pulling && !this.#closed) this.#lose()
    })
  }

  /** Notices that signs of life stay away. */
  async #watchOver(): Promise<void> {
    const { signal } = this.#watch
    while (!signal.aborted) {
      const before = this.#signs
      await this.#connection.runtime.sleep(watchedEveryMs, signal).catch(() => undefined)
      // A process that stood still takes in what came meanwhile only now.
      if (this.#signs === before)
        await this.#connection.runtime.sleep(momentMs, signal).catch(() => undefined)
      if (!signal.aborted && this.#signs === before) return this.#lose()
    }
  }
}

/** What servers say of a consumer that they have made. */
interface ConsumerInfo {
  readonly name: string
  /** How many messages it has to hand out. */
  readonly num_pending: number
}

/**
 * Makes a consumer of the messages of a subject from a sequence on, which is forgotten when nobody uses it. Servers choose by chance
 * who of them has it, and may choose one that is gone: nobody answers then. So another is asked for while there is no
 * answer, and the first that there is gets used.
 */
export function createConsumer(
  connection: Connection,
  at: { readonly stream: string; readonly subject: string; readonly from: number },
): Promise<ConsumerInfo> {
  return connection.bridge(async () => {
    const ended = new AbortController()
    let made: ConsumerInfo | undefined
    const attempts = Array.from({ length: askedAtMost }, async (_, attempt) => {
      if (attempt > 0) await connection.runtime.sleep(attempt * askedAgainMs, ended.signal)
      try {
        const info = await askForConsumer(connection, at)
        if (made !== undefined) removeConsumer(connection, at.stream, info.name)
        made ??= info
        return made
      } finally {
        ended.abort()
      }
    })
    return await Promise.any(attempts).catch((error: AggregateError) => {
      throw error.errors[0]
    })
  })
}

function askForConsumer(
  connection: Connection,
  { stream, subject, from }: { readonly stream: string; readonly subject: string; readonly from: number },
): Promise<ConsumerInfo> {
  return connection.api<ConsumerInfo>(`CONSUMER.CREATE.${stream}`, {
    stream_name: stream,
    config: {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: Math.max(1, from),
      ack_policy: 'none',
      filter_subject: subject,
      replay_policy: 'instant',
      inactive_threshold: forgottenAfterMs * nanosecondsInMs,
      mem_storage: true,
      num_replicas: 1,
    },
  })
}

/** If this does not arrive the servers forget the consumer by themselves. */
function removeConsumer({ client }: Connection, stream: string, name: string): void {
  if (!client.isClosed()) client.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`, new Uint8Array())
}

/** Where a message stands, as its reply subject says: `$JS.ACK.STREAM.CONSUMER.TIMES.SEQUENCE.HANDED.TIME.LEFT`. */
function placeIn(
  reply: string,
): { readonly sequence: number; readonly handed: number; readonly left: number } | undefined {
  const tokens = reply.split('.')
  if (tokens[1] !== 'ACK') return undefined
  // Newer servers name a domain and an account in front of the stream.
  const at = tokens.length >= 11 ? 6 : 4
  const [sequence, handed, , left] = tokens.slice(at + 1).map(Number)
  if (sequence === undefined || handed === undefined || left === undefined) return undefined
  return { sequence, handed, left }
}

/** Whether a stream or a consumer is not there. */
export function isGone(error: unknown): boolean {
  return isRefusal(error, refusals.streamUnknown) || isRefusal(error, refusals.consumerUnknown)
}
