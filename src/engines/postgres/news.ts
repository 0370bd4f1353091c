import type { Offset, Place } from '../../log/port.ts'
import type { Database } from './database.ts'
import { topicUnknown } from './failures.ts'
import type { PlannedPlace } from './planned-place.ts'

interface Watch {
  /** The places of the caller, by their names here. */
  readonly places: ReadonlyMap<string, { readonly named: Place; readonly known: Offset }>
  settle(grown: readonly Place[]): void
  fail(error: unknown): void
}

/**
 * Where places end, as far as this process was told: by its own commits at once, by those of others through notifications. While the
 * listener listens nothing is missed; when it listens again, everything is looked up.
 */
export class News {
  readonly #database: Database
  readonly #topics = new Map<string, number>()
  readonly #ends = new Map<string, Offset>()
  readonly #watches = new Map<string, Set<Watch>>()
  #looking: Promise<void> | undefined
  #lookAgain = false

  constructor(database: Database) {
    this.#database = database
  }

  /** Resolves with the places that are past what is known, at once or when that comes true. */
  async wait(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    signal.throwIfAborted()
    for (const { topic } of known.keys()) if (!this.#topics.has(topic)) await this.look()
    signal.throwIfAborted()
    const places = new Map<string, { named: Place; known: Offset }>()
    for (const [named, offset] of known) {
      const topicId = this.#topics.get(named.topic)
      if (topicId === undefined) throw topicUnknown(named.topic)
      places.set(nameOf(topicId, named.partition), { named: { ...named }, known: offset })
    }
    const grown = this.#grown(places)
    if (grown.length > 0) return grown
    return new Promise((resolve, reject) => {
      const end = () => {
        signal.removeEventListener('abort', onAbort)
        for (const name of places.keys()) this.#remove(name, watch)
      }
      const watch: Watch = {
        places,
        settle: (news) => {
          end()
          resolve(news)
        },
        fail: (error) => {
          end()
          reject(error)
        },
      }
      const onAbort = () => watch.fail(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      for (const name of places.keys()) this.#add(name, watch)
      if (places.size === 0) this.#add('', watch)
    })
  }

  /** Places of this process's own transaction have grown. */
  grown(places: readonly PlannedPlace[]): void {
    for (const { topicId, partition, endOffset } of places)
      this.#setEnd(nameOf(topicId, partition), endOffset)
  }

  /** What a notification says of places: `TOPIC.PARTITION.END`, separated by spaces. */
  told(text: string): void {
    for (const part of text.split(' ')) {
      const [topicId, partition, end] = part.split('.').map(Number)
      if (topicId === undefined || partition === undefined || end === undefined) continue
      this.#setEnd(nameOf(topicId, partition), end)
    }
  }

  /** Looks up every topic and every end. One look is under way at a time; what is asked meanwhile shares the next. */
  look(): Promise<void> {
    if (this.#looking === undefined) {
      this.#looking = this.#look().finally(() => (this.#looking = undefined))
      return this.#looking
    }
    this.#lookAgain = true
    return this.#looking
  }

  /** Ends every wait. */
  fail(error: unknown): void {
    for (const watches of [...this.#watches.values()]) for (const watch of [...watches]) watch.fail(error)
  }

  async #look(): Promise<void> {
    do {
      this.#lookAgain = false
      const rows = await this.#database.read(
        'ends',
        'select t.name, t.id, p.partition, p.end_offset from topic t join place p on p.topic_id = t.id',
        [],
      )
      const topics = new Map(rows.map(({ name, id }) => [String(name), Number(id)]))
      for (const [name, id] of [...this.#topics]) if (topics.get(name) !== id) this.#forget(name, id)
      for (const [name, id] of topics) this.#topics.set(name, id)
      for (const row of rows)
        this.#setEnd(nameOf(Number(row.id), Number(row.partition)), Number(row.end_offset))
    } while (this.#lookAgain)
  }

  #forget(name: string, topicId: number): void {
    this.#topics.delete(name)
    for (const place of [...this.#ends.keys(), ...this.#watches.keys()]) {
      if (!place.startsWith(`${topicId}.`)) continue
      this.#ends.delete(place)
      for (const watch of [...(this.#watches.get(place) ?? [])]) watch.fail(topicUnknown(name))
    }
  }

  #setEnd(name: string, end: Offset): void {
    if (end <= (this.#ends.get(name) ?? 0)) return
    this.#ends.set(name, end)
    for (const watch of [...(this.#watches.get(name) ?? [])]) {
      const grown = this.#grown(watch.places)
      if (grown.length > 0) watch.settle(grown)
    }
  }

  #grown(places: Watch['places']): Place[] {
    const grown: Place[] = []
    for (const [name, { named, known }] of places) if ((this.#ends.get(name) ?? 0) > known) grown.push(named)
    return grown
  }

  #add(name: string, watch: Watch): void {
    const watches = this.#watches.get(name) ?? new Set()
    watches.add(watch)
    this.#watches.set(name, watches)
  }

  #remove(name: string, watch: Watch): void {
    const watches = this.#watches.get(name)
    watches?.delete(watch)
    if (watches?.size === 0) this.#watches.delete(name)
  }
}

function nameOf(topicId: number, partition: number): string {
  return `${topicId}.${partition}`
}
