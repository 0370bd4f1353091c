import type { Batch, Offset, ReadLimits, StoredRecord } from '../../log/port.ts'
import type { Connection } from './connection.ts'
import { offsetTrimmed, recordCorrupt } from './failures.ts'
import { sequenceOf } from './frame.ts'
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
    let first = await this.#places.sequenceOf(place, from)
    if (from < place.start) throw offsetTrimmed(place, from, place.start)
    const known = this.#tails.get(place)?.find((tail) => tail.covers(first))
    if (known !== undefined) {
      const batch = await this.#serve(place, known, { from, first, limits })
      if (batch !== undefined) return batch
    }
    if (place.end <= from) await this.#places.lookUp(place)
    const start = await this.#startOf(place)
    if (from < start) throw offsetTrimmed(place, from, start)
    const behind = await this.#places.behindMoved(place, from, first)
    const next = behind ?? from
    if (behind !== undefined) first = await this.#places.sequenceOf(place, behind)
    while (place.end > next) {
      const tail = this.#tailAt(place, first)
      const { received } = tail
      const batch = await this.#serve(place, tail, { from, first, limits })
      if (batch !== undefined) return batch
      await tail.more(received)
      if (tail.isClosed) await this.#places.lookUp(place)
      // What is known to be there may have been removed meanwhile, so that nothing comes.
      const startNow = await this.#startOf(place)
      if (from < startNow) throw offsetTrimmed(place, from, startNow)
    }
    return { records: [], next }
  }

  /** Has the place's end told as it grows from `known` on, until the function that is given back is called. */
  follow(place: KnownPlace, known: Offset): () => void {
    // Who waits has looked where the place ends: what is to come is behind all that was moved here.
    const from = Math.max(known, place.end, place.moved?.liveFrom ?? 0)
    const tail = this.#tailAt(place, sequenceOf(from) - (place.moved?.shift ?? 0))
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
  async #serve(
    place: KnownPlace,
    tail: Tail,
    { from, first, limits }: { readonly from: Offset; readonly first: number; readonly limits: ReadLimits },
  ): Promise<Batch | undefined> {
    const batch = batchOf(place, tail.from(first), from, limits)
    if (batch === undefined) return undefined
    // Messages may have been removed before they could come, which does not show by itself.
    if (tail.takeDoubt()) {
      const start = await this.#startOf(place)
      if (from < start) throw offsetTrimmed(place, from, start)
    }
    this.#uses += 1
    tail.usedAt = this.#uses
    tail.passed(batch.last)
    place.moved?.hint(batch.next, batch.last)
    return { records: batch.records, next: batch.next }
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
        came: ({ sequence, frame, sizeBytes }) => place.learn(sequence, frame, sizeBytes),
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
}

/** A batch, and the sequence of the message that it ends in. */
interface MessageBatch extends Batch {
  readonly last: number
}

/** The records that messages have from an offset on; undefined where they have none. */
function batchOf(
  place: KnownPlace,
  messages: readonly FramedMessage[],
  from: Offset,
  limits: ReadLimits,
): MessageBatch | undefined {
  const records: StoredRecord[] = []
  let bytes = 0
  let next = from
  let last = 0
  for (const { sequence, frame } of messages) {
    const first = place.offsetOf(sequence, 0, frame) ?? from
    if (frame === undefined) {
      if (first < from) continue
      if (records.length === 0) throw recordCorrupt(place, first)
      return { records, next, last }
    }
    for (const [index, { timeMs, value }] of frame.records.entries()) {
      const offset = first + index
      if (offset < from) continue
      bytes += value.length
      const isEnough = records.length >= limits.records || bytes > limits.bytes
      if (records.length > 0 && isEnough) return { records, next, last }
      records.push({ offset, timeMs, value: new Uint8Array(value) })
      next = offset + 1
      last = sequence
    }
  }
  return records.length === 0 ? undefined : { records, next, last }
}
