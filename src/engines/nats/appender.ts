import { idReused } from '../../log/failures.ts'
import type { Appended, Entry } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import { overloaded, tooLarge } from './failures.ts'
import { framedSize, frameOverheadBytes, recordsPerMessage } from './frame.ts'
import type { Identities } from './identities.ts'
import { idOf, type Names } from './names.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'
import type { Topics } from './topics.ts'
import type { MessageWriter } from './writing.ts'

const mostWaitingBytes = 256 * 1024 * 1024
const mostWaitingEntries = 200_000

/** An entry that waits for its turn in a place. */
interface Item {
  readonly entry: Entry
  /** Its id, as the servers are told it; undefined where it has none. */
  id: string | undefined
  /** Settles once it is known that the whole call may be stored; absent where that needs no asking. */
  readonly checked: Promise<void> | undefined
  resolve(appended: Appended): void
  reject(error: unknown): void
}

/** What an appender works with. */
export interface AppenderParts {
  readonly names: Names
  readonly topics: Topics
  readonly places: KnownPlaces
  readonly identities: Identities
  readonly writer: MessageWriter
  readonly where: string
  spawn(task: () => Promise<void>): void
}

/**
 * Appends to places. Each place has one message under way: what comes meanwhile is stored together behind it. So nothing that is sent
 * again, after a failure, comes to stand behind what was called later.
 */
export class Appender {
  readonly #parts: AppenderParts
  readonly #queues = new Map<KnownPlace, Item[]>()
  #waitingBytes = 0
  #waitingEntries = 0

  constructor(parts: AppenderParts) {
    this.#parts = parts
  }

  /** As `append` of the port. */
  async append(entries: readonly Entry[], signal: AbortSignal | undefined): Promise<readonly Appended[]> {
    const { topics } = this.#parts
    signal?.throwIfAborted()
    for (const { topic } of entries) if (topics.peek(topic) === undefined) await topics.get(topic)
    signal?.throwIfAborted()
    this.#checkRoom(entries)
    const [only] = entries
    if (entries.length === 1 && only !== undefined) return [await this.#enqueue(only, undefined)]
    return await this.#appendMany(entries)
  }

  /**
   * What goes to one topic goes to its places side by side, but nothing behind a change of topic is stored before all in front of
   * it is: who notes in one topic how far another has come relies on that.
   */
  async #appendMany(entries: readonly Entry[]): Promise<readonly Appended[]> {
    const repeats = repeatsWithin(entries)
    const items: Item[] = []
    const hasIds = entries.some(({ deduplicationId }) => deduplicationId !== undefined)
    const found =
      hasIds && this.#parts.identities.canFind ? Promise.resolve().then(() => this.#find(items)) : undefined
    let checked = found
    let run: Promise<unknown>[] = []
    const places = entries.map((entry, index) => {
      if (repeats.has(index)) return undefined
      if (index > 0 && entry.topic !== entries[index - 1]?.topic) {
        checked = Promise.all([found, ...run]).then(() => undefined)
        run = []
      }
      checked?.catch(() => undefined)
      const place = this.#enqueue(entry, checked, items)
      run.push(place)
      return place
    })
    // All of them settle before the call does, so that nothing of it is under way behind its back.
    const settled = await Promise.allSettled(places)
    const appended: Appended[] = []
    for (const [index, outcome] of settled.entries()) {
      if (outcome.status === 'rejected') throw outcome.reason
      const first = appended[repeats.get(index) ?? index]
      const answer = outcome.value ?? (first === undefined ? undefined : { ...first, duplicate: true })
      if (answer !== undefined) appended.push(answer)
    }
    return appended
  }

  #enqueue(entry: Entry, checked: Promise<void> | undefined, items?: Item[]): Promise<Appended> {
    const { topics, places, spawn } = this.#parts
    const topic = topics.peek(entry.topic)
    // It was deleted just now.
    if (topic === undefined) return topics.get(entry.topic).then(() => this.#enqueue(entry, checked, items))
    const place = places.at(topic, entry.partition)
    return new Promise((resolve, reject) => {
      const id = entry.deduplicationId === undefined ? undefined : idOf(entry.deduplicationId)
      const item: Item = { entry, id, checked, resolve, reject }
      items?.push(item)
      this.#waitingBytes += entry.value.length
      this.#waitingEntries += 1
      const queue = this.#queues.get(place)
      if (queue !== undefined) return void queue.push(item)
      const begun = [item]
      this.#queues.set(place, begun)
      spawn(() => this.#run(place, begun))
    })
  }

  /** Stores what waits for a place, message by message, until nothing does. */
  async #run(place: KnownPlace, queue: Item[]): Promise<void> {
    // Callers of one turn share a message.
    await undefined
    while (queue.length > 0) {
      const head = queue[0] as Item
      const isFine = await head.checked?.then(
        () => true,
        (error) => head.reject(error),
      )
      const items = head.checked !== undefined && isFine !== true ? [head] : this.#together(queue)
      queue.splice(0, items.length)
      for (const { entry } of items) {
        this.#waitingBytes -= entry.value.length
        this.#waitingEntries -= 1
      }
      if (head.checked !== undefined && isFine !== true) continue
      try {
        await this.#store(place, items)
      } catch (error) {
        for (const { reject } of items) reject(error)
      }
    }
    this.#queues.delete(place)
  }

  /** What goes into the next message: one entry with an id, or as many as fit that have none. */
  #together(queue: readonly Item[]): readonly Item[] {
    const [head] = queue as [Item]
    if (head.id !== undefined) return [head]
    let room = this.#parts.writer.maxRecordBytes - frameOverheadBytes
    let count = 0
    for (const { entry, id, checked } of queue) {
      room -= framedSize(entry.value)
      if (id !== undefined || (checked !== undefined && checked !== head.checked)) break
      if (count === recordsPerMessage || (count > 0 && room < 0)) break
      count += 1
    }
    return queue.slice(0, count)
  }

  async #store(place: KnownPlace, items: readonly Item[]): Promise<void> {
    const { names, writer, identities } = this.#parts
    const subject = names.direct(place.known, place.partition)
    const records = items.map(({ entry: { timeMs, value } }) => ({ timeMs, value }))
    const [head] = items as readonly [Item]
    for (let { id } = head; ; ) {
      const { sequence, duplicate, write } = await writer.write({
        ...{ place, subject, records },
        ...(id === undefined ? {} : { id }),
      })
      const verdict = duplicate
        ? await identities.judge(place, head.entry, { sequence, write, compare: true })
        : { kind: 'own' as const }
      if (verdict.kind === 'duplicate') return head.resolve(verdict.appended)
      if (verdict.kind === 'own') {
        for (const [index, { resolve }] of items.entries()) resolve(place.appended(sequence, index))
        return
      }
      id = verdict.id
    }
  }

  /** Finds out what the ids of a call stand for, before anything of it is stored. */
  async #find(items: readonly Item[]): Promise<void> {
    const { identities, names, places, topics } = this.#parts
    const looking = items.map(async (item) => {
      const { entry } = item
      if (entry.deduplicationId === undefined) return
      const place = places.at(await topics.get(entry.topic), entry.partition)
      const subject = names.direct(place.known, place.partition)
      const found = await identities.find(
        place,
        { ...entry, deduplicationId: entry.deduplicationId },
        subject,
      )
      // Who is known already is found again when it is stored, in its turn.
      if ('id' in found) item.id = found.id
    })
    await Promise.all(looking)
  }

  #checkRoom(entries: readonly Entry[]): void {
    const { writer, where } = this.#parts
    let bytes = 0
    for (const { value } of entries) {
      const mostBytes = writer.maxRecordBytes - frameOverheadBytes
      if (value.length > mostBytes) throw tooLarge(value.length, mostBytes)
      bytes += value.length
    }
    const isTooMuch = this.#waitingBytes + bytes > mostWaitingBytes && this.#waitingEntries > 0
    if (isTooMuch || this.#waitingEntries >= mostWaitingEntries) throw overloaded(where)
  }
}

/** Which entries of a call repeat the id of an earlier one, by their numbers. `ID_REUSED` when one has other content. */
function repeatsWithin(entries: readonly Entry[]): ReadonlyMap<number, number> {
  const firsts = new Map<string, number>()
  const repeats = new Map<number, number>()
  for (const [index, entry] of entries.entries()) {
    const { topic, deduplicationId, value } = entry
    if (deduplicationId === undefined) continue
    const key = `${topic} ${deduplicationId}`
    const first = firsts.get(key)
    if (first === undefined) {
      firsts.set(key, index)
      continue
    }
    if (compareEvents((entries[first] as Entry).value, value) !== 'same') throw idReused(entry)
    repeats.set(index, first)
  }
  return repeats
}
