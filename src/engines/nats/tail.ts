import type { Connection, StoredMessage } from './connection.ts'
import { Cursor } from './cursor.ts'
import { decodeFrame, type Frame } from './frame.ts'

/** How much a tail keeps, of what was read and of what was not. */
const mostBytes = 2 * 1024 * 1024
const mostMessages = 512
const pulledAtOnce = 256
/** Messages that were read are kept for others who read the same place, as long as there are no more than this. */
const keptBytes = 256 * 1024
const keptMessages = 64
/** When what is known to be stored has not come for so long, the cursor is opened anew. */
const patienceMs = 2000

/** A message of a place. */
export interface FramedMessage {
  readonly sequence: number
  readonly sizeBytes: number
  /** Undefined where it is not what was stored. */
  readonly frame: Frame | undefined
}

/** What a tail tells. */
export interface TailHooks {
  /** A message has come. */
  came(message: FramedMessage): void
  /** The tail cannot go on; whoever waits for it is told this. */
  failed(error: unknown): void
}

/**
 * A part of the messages of one subject, without a gap: those from one sequence up to another. It grows at its end as long as
 * somebody wants more, and loses at its beginning what was read.
 */
export class Tail {
  readonly #connection: Connection
  readonly #at: { readonly stream: string; readonly subject: string }
  readonly #hooks: TailHooks
  #messages: FramedMessage[] = []
  #bytes = 0
  /** Whatever is stored from this sequence on and below `#next` is in the messages, unless it was removed before it came. */
  #low: number
  #next: number
  #read: number
  #cursor: Cursor | undefined
  #opening: Promise<void> | undefined
  #wakers: (() => void)[] = []
  #wanted = 0
  /** Whether each message came when it was stored, so that none can have been removed before it came. */
  #isLive = false
  #isInDoubt = false
  #received = 0
  #isClosed = false
  /** For choosing which tail makes room for another. */
  usedAt = 0

  constructor(
    connection: Connection,
    at: { readonly stream: string; readonly subject: string; readonly from: number },
    hooks: TailHooks,
  ) {
    this.#connection = connection
    this.#at = at
    this.#hooks = hooks
    this.#low = at.from
    this.#next = at.from
    this.#read = at.from
  }

  /** Whether it has, or is to have next, what begins at a sequence. */
  covers(sequence: number): boolean {
    return !this.#isClosed && sequence >= this.#low && sequence <= this.#next
  }

  get isWanted(): boolean {
    return this.#wanted > 0
  }

  /** How many messages have come so far. */
  get received(): number {
    return this.#received
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether messages may have been removed before they came here, since this was asked last. */
  takeDoubt(): boolean {
    const isInDoubt = this.#isInDoubt
    this.#isInDoubt = false
    return isInDoubt
  }

  /** The messages from a sequence on, as far as they have come. */
  from(sequence: number): readonly FramedMessage[] {
    let index = this.#messages.length
    while (index > 0 && (this.#messages[index - 1] as FramedMessage).sequence >= sequence) index -= 1
    return this.#messages.slice(index)
  }

  /** Whoever read has read all below this sequence: it makes room. */
  passed(sequence: number): void {
    this.#read = Math.max(this.#read, sequence)
    let count = 0
    let bytes = this.#bytes
    for (const message of this.#messages) {
      const left = this.#messages.length - count
      if (message.sequence >= this.#read || (bytes <= keptBytes && left <= keptMessages)) break
      bytes -= message.sizeBytes
      count += 1
      this.#low = message.sequence + 1
    }
    if (count > 0) this.#messages = this.#messages.slice(count)
    this.#bytes = bytes
    this.#pullOn()
  }

  /** Wants more until the function that is given back is called. */
  want(): () => void {
    this.#wanted += 1
    this.#pullOn()
    let isOver = false
    return () => {
      if (!isOver) this.#wanted -= 1
      isOver = true
    }
  }

  /** Resolves when more than so many messages have come, or when it is worth looking again. */
  async more(received: number): Promise<void> {
    const unwant = this.want()
    const waiting = new AbortController()
    try {
      if (this.#isClosed || this.#received > received) return
      const woken = new Promise<void>((resolve) => this.#wakers.push(resolve))
      this.#connection.runtime.spawn('nats tail', () => this.#losePatience(waiting.signal))
      await woken
    } finally {
      waiting.abort()
      unwant()
    }
  }

  /** Opens its cursor anew: what was pulled for may be lost. */
  restart(): void {
    this.#cursor?.close()
    this.#cursor = undefined
    this.#isLive = false
    this.#pullOn()
  }

  close(): void {
    this.#isClosed = true
    this.#cursor?.close()
    this.#cursor = undefined
    this.#wake()
  }

  async #losePatience(signal: AbortSignal): Promise<void> {
    await this.#connection.runtime.sleep(patienceMs, signal).catch(() => undefined)
    if (signal.aborted) return
    this.restart()
    this.#wake()
  }

  #pullOn(): void {
    if (this.#isClosed || this.#wanted === 0 || this.#opening !== undefined) return
    if (this.#bytes >= mostBytes || this.#messages.length >= mostMessages) return
    if (this.#cursor !== undefined) {
      if (this.#cursor.isPulling) return
      this.#isLive = false
      this.#cursor.pull(pulledAtOnce)
      return
    }
    this.#opening = this.#open()
      .catch((error: unknown) => {
        this.close()
        this.#hooks.failed(error)
      })
      .finally(() => {
        this.#opening = undefined
        this.#pullOn()
      })
    this.#connection.runtime.spawn('nats tail', () => this.#opening ?? Promise.resolve())
  }

  async #open(): Promise<void> {
    this.#isLive = false
    const cursor = await Cursor.open(
      this.#connection,
      { ...this.#at, from: this.#next },
      {
        message: (message, left) => this.#take(message, left),
        ended: () => this.#pullOn(),
        lost: () => this.restart(),
      },
    )
    if (this.#isClosed) cursor.close()
    else this.#cursor = cursor
  }

  #take(message: StoredMessage, left: number): void {
    if (!this.#isLive) this.#isInDoubt = true
    this.#isLive = left === 0
    const { sequence, data } = message
    const framed = { sequence, sizeBytes: data.length, frame: decodeFrame(data) }
    this.#messages.push(framed)
    this.#bytes += data.length
    this.#next = sequence + 1
    this.#received += 1
    this.#hooks.came(framed)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake()
  }
}
