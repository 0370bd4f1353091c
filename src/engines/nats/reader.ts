import type { Batch, Offset, Place, ReadLimits, StoredRecord } from '../../log/port.ts'
import type { Connection } from './connection.ts'
import { offsetTrimmed, recordCorrupt } from './failures.ts'
import { offsetOf, sequenceOf } from './frame.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'
import { type FramedMessage, Tail } from './tail.ts'

/** How many tails one place has at most, and how many there are of all places. */
const mostOfPlace = 4
const mostTails = 2048

/** Where a place begins, as was noted when it was trimmed; 0 where it never was. */
export type StartOf = (place: KnownPlace) => Promise<Offset>

/** Reads places, and keeps what was read last for those who read on. */
export class Reader {
  readonly #connection: Connection
  readonly #places: KnownPlaces
  readonly #startOf: StartOf
  readonly #gone: (place: KnownPlace) => void
  readonly #tails = new Map<KnownPlace, Tail[]>()
  readonly #unfollow: () => void
  #count = 0
  #uses = 0

  /** `gone` is told of a place that cannot be followed any more. */
  constructor(
    connection: Connection,
    places: KnownPlaces,
    startOf: StartOf,
    gone: (place: KnownPlace) => void,
  ) {
    this.#connection = connection
    this.#places = places
    this.#startOf = startOf
    this.#gone = gone
    this.#unfollow = connection.onChanged(() => {
      for (const tails of this.#tails.values()) for (const tail of tails) tail.restart()
    })
  }

  /** As `read` of the port. */
  async read(place: KnownPlace, from: Offset, limits: ReadLimits): Promise<Batch> {
    const first = Math.max(0, sequenceOf(from))
    if (from < place.start) throw offsetTrimmed(place, from, place.start)
    const known = this.#tails.get(place)?.find((tail) => tail.covers(first))
    if (known !== undefined) {
      const batch = await this.#serve(place, known, from, limits)
      if (batch !== undefined) return batch
    }
    if (place.end <= from) await this.#places.lookUp(place)
    const start = await this.#startOf(place)
    if (from < start) throw offsetTrimmed(place, from, start)
    while (place.end > from) {
      const tail = this.#tailAt(place, first)
      const { received } = tail
      const batch = await this.#serve(place, tail, from, limits)
      if (batch !== undefined) return batch
      await tail.more(received)
      if (tail.isClosed) await this.#places.lookUp(place)
      // What is known to be there may have been removed meanwhile, so that nothing comes.
      const startNow = await this.#startOf(place)
      if (from < startNow) throw offsetTrimmed(place, from, startNow)
    }
    return { records: [], next: from }
  }

  /** Has the place's end told as it grows from `known` on, until the function that is given back is called. */
  follow(place: KnownPlace, known: Offset): () => void {
    const tail = this.#tailAt(place, sequenceOf(Math.max(known, place.end)))
    return tail.want()
  }

  forget(place: KnownPlace): void {
    for (const tail of this.#tails.get(place) ?? []) tail.close()
    this.#count -= this.#tails.get(place)?.length ?? 0
    this.#tails.delete(place)
  }

  /** Forgets every place of a topic. */
  forgetTopic(topicId: string): void {
    for (const place of [...this.#tails.keys()]) if (place.known.id === topicId) this.forget(place)
  }

  close(): void {
    this.#unfollow()
    for (const place of [...this.#tails.keys()]) this.forget(place)
  }

  /** What a tail has from an offset on; undefined where it has nothing yet. */
  async #serve(place: KnownPlace, tail: Tail, from: Offset, limits: ReadLimits): Promise<Batch | undefined> {
    const messages = tail.from(sequenceOf(from))
    const batch = batchOf(place, messages, from, limits)
    if (batch === undefined) return undefined
    // Messages may have been removed before they could come, which does not show by itself.
    if (tail.takeDoubt()) {
      const start = await this.#startOf(place)
      if (from < start) throw offsetTrimmed(place, from, start)
    }
    this.#uses += 1
    tail.usedAt = this.#uses
    tail.passed(sequenceOf(batch.next))
    return batch
  }

  #tailAt(place: KnownPlace, sequence: number): Tail {
    let tails = this.#tails.get(place)
    if (tails === undefined) {
      tails = []
      this.#tails.set(place, tails)
    }
    const found = tails.find((tail) => tail.covers(sequence))
    if (found !== undefined) return found
    if (tails.length >= mostOfPlace || this.#count >= mostTails) this.#makeRoom(tails)
    const { stream } = place.known
    const tail: Tail = new Tail(
      this.#connection,
      { stream, subject: this.#places.subject(place), from: sequence },
      {
        came: (message) => this.#came(place, message),
        failed: () => {
          this.#remove(tails, tail)
          this.#gone(place)
        },
      },
    )
    tails.push(tail)
    this.#count += 1
    return tail
  }

  #makeRoom(tails: Tail[]): void {
    const idle = tails.filter(({ isWanted }) => !isWanted).sort((left, right) => left.usedAt - right.usedAt)
    const [oldest] = idle
    if (oldest === undefined) return
    oldest.close()
    this.#remove(tails, oldest)
  }

  #remove(tails: Tail[], tail: Tail): void {
    const index = tails.indexOf(tail)
    if (index < 0) return
    tails.splice(index, 1)
    this.#count -= 1
  }

  #came(place: KnownPlace, { sequence, frame }: FramedMessage): void {
    if (frame === undefined) place.grow(offsetOf(sequence, 1))
    else place.learn(sequence, frame)
  }
}

/** The records that messages have from an offset on; undefined where they have none. */
function batchOf(
  at: Place,
  messages: readonly FramedMessage[],
  from: Offset,
  limits: ReadLimits,
): Batch | undefined {
  const records: StoredRecord[] = []
  let bytes = 0
  let next = from
  for (const { sequence, frame } of messages) {
    if (frame === undefined) {
      if (offsetOf(sequence) < from) continue
      if (records.length === 0) throw recordCorrupt(at, offsetOf(sequence))
      return { records, next }
    }
    for (const [index, { timeMs, value }] of frame.records.entries()) {
      const offset = offsetOf(sequence, index)
      if (offset < from) continue
      bytes += value.length
      const isEnough = records.length >= limits.records || bytes > limits.bytes
      if (records.length > 0 && isEnough) return { records, next }
      records.push({ offset, timeMs, value: new Uint8Array(value) })
      next = offset + 1
    }
  }
  return records.length === 0 ? undefined : { records, next }
}
