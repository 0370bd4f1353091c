import type { MemberList, MemberSign } from '../../log/journal/log-servers.ts'
import type { Connection, StoredMessage } from './connection.ts'
import { Cursor } from './cursor.ts'
import { isRefusal, refusals } from './failures.ts'
import type { Names } from './names.ts'

const pulledAtOnce = 256
const retryMs = 500
const nothing = new Uint8Array()

/** The signs of the members of groups: the last one of each stands in a stream, which everybody follows who asks for a group. */
export class MemberSigns {
  readonly #connection: Connection
  readonly #names: Names
  readonly #feeds = new Map<string, Feed>()

  constructor(connection: Connection, names: Names) {
    this.#connection = connection
    this.#names = names
  }

  async announce(group: string, sign: MemberSign): Promise<void> {
    const payload = Buffer.from(JSON.stringify(sign))
    await this.#put(this.#names.member(group, sign.memberId), payload)
  }

  async withdraw(group: string, sign: Pick<MemberSign, 'memberId' | 'incarnation'>): Promise<void> {
    const subject = this.#names.member(group, sign.memberId)
    const last = await this.#connection.message(this.#names.catalog, { last_by_subj: subject })
    if (last === undefined || signIn(last.data)?.incarnation !== sign.incarnation) return
    try {
      await this.#put(subject, nothing, last.sequence)
    } catch (error) {
      if (!isRefusal(error, refusals.wrongLast)) throw error
    }
  }

  async members(group: string): Promise<MemberList> {
    const subject = this.#names.member(group)
    const last = await this.#connection.message(this.#names.catalog, { last_by_subj: subject })
    return await this.#feed(group).through(last?.sequence ?? 0)
  }

  changed(group: string, known: number, signal: AbortSignal): Promise<MemberList> {
    return this.#feed(group).after(known, signal)
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.close()
  }

  async #put(subject: string, payload: Uint8Array, expectedLast?: number): Promise<void> {
    const headers = this.#connection.headers(
      expectedLast === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': String(expectedLast) },
    )
    await this.#connection.bridge(() => this.#connection.publish(subject, payload, headers))
  }

  #feed(group: string): Feed {
    let feed = this.#feeds.get(group)
    if (feed === undefined) {
      feed = new Feed(this.#connection, this.#names.catalog, this.#names.member(group))
      this.#feeds.set(group, feed)
    }
    return feed
  }
}

function signIn(data: Uint8Array): MemberSign | undefined {
  return data.length === 0 ? undefined : (JSON.parse(Buffer.from(data).toString()) as MemberSign)
}

/** The signs of one group, as they come. */
class Feed {
  readonly #connection: Connection
  readonly #at: { readonly stream: string; readonly subject: string }
  readonly #signs = new Map<string, MemberSign>()
  readonly #unfollow: () => void
  readonly #ending = new AbortController()
  #wakers = new Set<() => void>()
  #next = 1
  #cursor: Cursor | undefined
  #isOpening = false

  constructor(connection: Connection, stream: string, subject: string) {
    this.#connection = connection
    this.#at = { stream, subject }
    this.#unfollow = connection.onChanged(() => this.#open())
    this.#open()
  }

  /** The list once it has everything through a sequence. */
  async through(sequence: number): Promise<MemberList> {
    while (this.#next <= sequence && !this.#ending.signal.aborted) {
      await new Promise<void>((resolve) => this.#wakers.add(resolve))
    }
    return this.#list()
  }

  /** The list once its revision is above `known`. */
  after(known: number, signal: AbortSignal): Promise<MemberList> {
    return new Promise((resolve, reject) => {
      const end = () => {
        signal.removeEventListener('abort', onAbort)
        this.#wakers.delete(look)
      }
      const onAbort = () => {
        end()
        reject(signal.reason)
      }
      const look = () => {
        if (this.#next - 1 <= known) return void this.#wakers.add(look)
        end()
        resolve(this.#list())
      }
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      look()
    })
  }

  close(): void {
    this.#ending.abort()
    this.#unfollow()
    this.#cursor?.close()
    this.#wake()
  }

  #list(): MemberList {
    return { revision: this.#next - 1, members: [...this.#signs.values()] }
  }

  #open(): void {
    if (this.#isOpening || this.#ending.signal.aborted) return
    this.#isOpening = true
    this.#connection.runtime.spawn('nats members', async () => {
      this.#cursor?.close()
      while (!this.#ending.signal.aborted) {
        try {
          await this.#openCursor()
          break
        } catch {
          await this.#connection.runtime.sleep(retryMs, this.#ending.signal).catch(() => undefined)
        }
      }
      this.#isOpening = false
    })
  }

  async #openCursor(): Promise<void> {
    const cursor = await Cursor.open(
      this.#connection,
      { ...this.#at, from: this.#next },
      {
        message: (message) => this.#take(message),
        ended: () => this.#cursor?.pull(pulledAtOnce),
        lost: () => this.#open(),
      },
    )
    this.#cursor = cursor
    if (this.#ending.signal.aborted) cursor.close()
    else cursor.pull(pulledAtOnce)
  }

  #take({ sequence, subject, data }: StoredMessage): void {
    const sign = signIn(data)
    if (sign === undefined) this.#signs.delete(subject)
    else this.#signs.set(subject, sign)
    this.#next = sequence + 1
    this.#wake()
  }

  #wake(): void {
    const wakers = this.#wakers
    this.#wakers = new Set()
    for (const wake of wakers) wake()
  }
}
