import { subjectsOf } from './catalog.ts'
import type { ObjectStore } from './client.ts'
import type { Connection } from './connection.ts'
import { isRefusal, objectCorrupt, ofLibrary, refusals, Unanswered } from './failures.ts'
import type { Names } from './names.ts'
import { prepareObjects } from './streams.ts'

/** While an object is read something comes within so long, or it is asked for anew. */
const patienceMs = 5000
/** An object that took longer to put does not count. */
const longestPutMs = 60 * 60 * 1000
/** What belongs to no object, and was there for so long, is of one that was never put as a whole. */
const orphanedMs = 24 * longestPutMs
const askedAtOnce = 64

/** What a message says of an object, as far as it is looked at here. */
interface Description {
  /** Its content is under this id. */
  readonly nuid: string
}

/**
 * The object store of a log, which keeps checkpoints: made with the first one. Subjects and descriptions of objects are those
 * of all clients of NATS (its ADR-20). The client library puts and gets objects; what it does not, is done here: it would wait for ever
 * for one whose end was lost with a connection, and keeps the name of one that is deleted.
 */
export class Objects {
  readonly #connection: Connection
  readonly #names: Names
  readonly #replicas: number
  #isPrepared = false
  #store: ObjectStore | undefined
  #sweptMs: number | undefined

  constructor(connection: Connection, names: Names, replicas: number) {
    this.#connection = connection
    this.#names = names
    this.#replicas = replicas
  }

  /**
   * Resolves once an object is there as a whole, with its name, which begins as asked for. Every attempt has a name of its own: of one
   * that was given up the description may be stored later than that of the next, while its content was taken back.
   */
  async put(prefix: string, content: Uint8Array): Promise<string> {
    const { runtime } = this.#connection
    if (!this.#isPrepared) await prepareObjects(this.#connection, this.#names, this.#replicas)
    this.#isPrepared = true
    try {
      return await this.#bridge(async (store) => {
        const name = `${prefix}${runtime.id().slice(-12)}`
        const beganMs = runtime.now()
        await store.putBlob({ name }, content)
        const tookMs = runtime.now() - beganMs
        if (tookMs < 0 || tookMs > longestPutMs) throw new Error('this object took too long to put')
        return name
      })
    } catch (error) {
      this.#isPrepared = false
      throw error
    }
  }

  /** The content of an object; undefined where there is none. `RECORD_CORRUPT` where it does not match its digest. */
  get(name: string): Promise<Uint8Array | undefined> {
    return this.#bridge(async (store) => {
      const found = await store.get(name)
      if (found === null) return undefined
      found.error.catch(() => undefined)
      try {
        return await this.#contentOf(found.data)
      } catch (error) {
        if (!String(error).includes('digests do not match')) throw error
        throw objectCorrupt(this.#connection.where, name, error)
      }
    })
  }

  /** Removes the objects whose names are meant. */
  async remove(isMeant: (name: string) => boolean): Promise<void> {
    for (const subject of await this.#subjects(this.#names.descriptions)) {
      if (!isMeant(this.#names.objectAt(subject))) continue
      const description = await this.#describedAt(subject)
      // The description goes last, so that who ends in between leaves one by which the rest is found.
      if (description !== undefined) await this.#purge(this.#names.contents(description.nuid))
      await this.#purge(subject)
    }
  }

  /**
   * Removes what belongs to no object, once a day: who ended while putting one has left it. What is a day old is not of one
   * that is being put, as those that take an hour do not count.
   */
  async sweep(): Promise<void> {
    const nowMs = this.#connection.runtime.now()
    if (this.#sweptMs !== undefined && Math.abs(nowMs - this.#sweptMs) < orphanedMs) return
    this.#sweptMs = nowMs
    const contents = await this.#subjects(this.#names.contents())
    const described = await this.#subjects(this.#names.descriptions)
    const known = new Set<string>()
    for (let from = 0; from < described.length; from += askedAtOnce) {
      const asked = described.slice(from, from + askedAtOnce).map((subject) => this.#describedAt(subject))
      for (const description of await Promise.all(asked)) {
        if (description !== undefined) known.add(this.#names.contents(description.nuid))
      }
    }
    for (const subject of contents) {
      if (known.has(subject)) continue
      const timeMs = await this.#timeOf(subject)
      if (timeMs !== undefined && nowMs - timeMs > orphanedMs) await this.#purge(subject)
    }
  }

  #bridge<T>(call: (store: ObjectStore) => Promise<T>): Promise<T> {
    return this.#connection.bridge(async () => {
      const lost = Promise.withResolvers<never>()
      const unfollow = this.#connection.onChanged(() => {
        lost.reject(new Unanswered('the connection was lost'))
      })
      try {
        this.#store ??= await Promise.race([this.#connection.objectStore(this.#names.bucket), lost.promise])
        return await Promise.race([call(this.#store), lost.promise])
      } catch (error) {
        throw ofLibrary(error)
      } finally {
        unfollow()
      }
    })
  }

  async #contentOf(data: ReadableStream<Uint8Array>): Promise<Uint8Array> {
    const reader = data.getReader()
    const pieces: Uint8Array[] = []
    try {
      for (;;) {
        const { done, value } = await this.#inTime(reader.read())
        if (done) return Buffer.concat(pieces)
        pieces.push(value)
      }
    } finally {
      await reader.cancel().catch(() => undefined)
    }
  }

  async #inTime<T>(reading: Promise<T>): Promise<T> {
    const waiting = new AbortController()
    const tired = this.#connection.runtime.sleep(patienceMs, waiting.signal).then(() => {
      throw new Unanswered('nothing came in time', { waitedMs: patienceMs })
    })
    try {
      return await Promise.race([reading, tired])
    } finally {
      waiting.abort()
    }
  }

  async #subjects(filter: string): Promise<readonly string[]> {
    return [...(await subjectsOf(this.#connection, this.#names.objects, filter)).keys()]
  }

  async #describedAt(subject: string): Promise<Description | undefined> {
    const message = await this.#connection.message(this.#names.objects, { last_by_subj: subject })
    return message && (JSON.parse(Buffer.from(message.data).toString()) as Description)
  }

  /** When the last message of a subject came, by the servers' clock. */
  async #timeOf(subject: string): Promise<number | undefined> {
    try {
      const asked = { last_by_subj: subject }
      const get = `STREAM.MSG.GET.${this.#names.objects}`
      const { message } = await this.#connection.call<{ message: { time: string } }>(get, asked)
      return Date.parse(message.time)
    } catch (error) {
      if (isRefusal(error, refusals.notFound)) return undefined
      throw error
    }
  }

  async #purge(subject: string): Promise<void> {
    await this.#connection.call(`STREAM.PURGE.${this.#names.objects}`, { filter: subject })
  }
}
