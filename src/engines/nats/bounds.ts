import type { Bounds, Offset, TrimLimits } from '../../log/port.ts'
import { type Catalog, removeBelow, subjectsOf } from './catalog.ts'
import type { Connection, StoredMessage } from './connection.ts'
import { createConsumer } from './cursor.ts'
import { decodeFrame } from './frame.ts'
import type { Names } from './names.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'
import type { StreamInfo } from './topics.ts'

/** What is noted of a place when it is trimmed, or was moved here: nothing that it says ever becomes less. */
export interface StartNote {
  readonly start: Offset
  /** At least the time of every record below the start; null where there was none. */
  readonly timeMs: number | null
  /** Where a place that was moved here ended, if offsets were skipped behind its last record. */
  readonly end?: Offset
}

/** What was found out about a place at one moment. */
interface Measured {
  readonly start: Offset
  readonly end: Offset
  readonly isEmpty: boolean
  readonly bytes: number
  /** {@link KnownPlace.bytes} at that moment. */
  readonly placeBytes: number
  readonly atMs: number
}

/** So long where a place begins and what it holds is not asked for again, unless it is known to be otherwise. */
const measuredMs = 5000

/** Where places begin and end, what they hold, and cutting them off at their start. */
export class PlaceBounds {
  readonly #connection: Connection
  readonly #names: Names
  readonly #catalog: Catalog
  readonly #places: KnownPlaces
  readonly #marksGo: (place: KnownPlace, below: number) => Promise<void>
  readonly #measured = new Map<KnownPlace, Measured>()

  /** `marksGo` keeps what the messages below a sequence say of how far claims have forwarded, before they are removed. */
  constructor(
    parts: {
      readonly connection: Connection
      readonly names: Names
      readonly catalog: Catalog
      readonly places: KnownPlaces
    },
    marksGo: (place: KnownPlace, below: number) => Promise<void>,
  ) {
    this.#connection = parts.connection
    this.#names = parts.names
    this.#catalog = parts.catalog
    this.#places = parts.places
    this.#marksGo = marksGo
  }

  /** Where a place begins as it was noted last; 0 where it was never trimmed. */
  async startOf(place: KnownPlace): Promise<Offset> {
    const note = await this.noteOf(place)
    if (note === undefined) return 0
    this.#take(place, note)
    return note.start
  }

  /** What is noted of a place. */
  async noteOf(place: KnownPlace): Promise<StartNote | undefined> {
    return (await this.#catalog.get<StartNote>(this.#key(place)))?.value
  }

  /** Notes where a place begins and ends that was moved here. */
  async setNote(place: KnownPlace, note: StartNote): Promise<void> {
    await this.#catalog.change<StartNote>(this.#key(place), () => note)
  }

  async bounds(place: KnownPlace): Promise<Bounds> {
    const known = this.#measured.get(place)
    const ageMs = known === undefined ? measuredMs : this.#connection.runtime.now() - known.atMs
    if (known === undefined || ageMs < 0 || ageMs >= measuredMs) return await this.#measure(place)
    await this.#places.lookUp(place)
    const isOther = known.isEmpty && place.end > known.end
    if (isOther || known.start < place.start || this.#measured.get(place) !== known)
      return await this.#measure(place)
    const { start, bytes, placeBytes } = known
    return { start, end: Math.max(place.end, known.end), bytes: bytes + place.bytes - placeBytes }
  }

  /** Somebody has trimmed. */
  forget(): void {
    this.#measured.clear()
  }

  async #measure(place: KnownPlace): Promise<Bounds> {
    const [noted] = await Promise.all([this.startOf(place), this.#places.lookUp(place)])
    // Taken before the first record is looked for: what is appended meanwhile must not come to stand below the start.
    const { end } = place
    const first = await this.#recordFrom(place, noted)
    const isEmpty = first === undefined || first.offset >= end
    const start = isEmpty ? end : first.offset
    const placeBytes = place.bytes
    const bytes = isEmpty ? 0 : (await this.#sizeOf(place)).bytes
    const atMs = this.#connection.runtime.now()
    this.#measured.set(place, { start, end, isEmpty, bytes, placeBytes, atMs })
    return { start, end, bytes }
  }

  /** The smallest offset whose record's time is at least `timeMs`, by halving; the end where there is none. */
  async offsetAt(place: KnownPlace, timeMs: number): Promise<Offset> {
    const { start, end } = await this.bounds(place)
    let low = await this.#places.sequenceOf(place, start)
    let high = (await this.#places.sequenceOf(place, end)) + 1
    // Every message below `low` is older; the first one from `high` on is not, or there is none.
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      const message = await this.#messageFrom(place, middle)
      if (message === undefined || message.sequence >= high) high = middle
      else if (lastTimeOf(message) < timeMs) low = message.sequence + 1
      else high = middle
    }
    const found = await this.#messageFrom(place, low)
    const frame = found === undefined ? undefined : decodeFrame(found.data)
    const index = frame?.records.findIndex((record) => record.timeMs >= timeMs) ?? -1
    if (found === undefined || index < 0) return end
    return Math.max(start, place.offsetOf(found.sequence, index, frame) ?? start)
  }

  /** As `trim` of the port, but never past `needed`. */
  async trim(place: KnownPlace, limits: TrimLimits, needed: Offset): Promise<Offset> {
    const { start, end, bytes } = await this.#measure(place)
    const wanted = [limits.before ?? 0]
    if (limits.beforeTimeMs !== undefined) wanted.push(await this.offsetAt(place, limits.beforeTimeMs))
    if (limits.keepBytes !== undefined && bytes > limits.keepBytes) {
      wanted.push(await this.#behindBytes(place, { start, end }, limits.keepBytes))
    }
    const target = Math.min(Math.max(...wanted), end, needed)
    if (target <= start) return start
    // What is written next is not to be older than what goes, nor than what stays.
    const { timeMs } = place
    await this.#catalog.change<StartNote>(this.#key(place), (before) => {
      if (before !== undefined && before.start >= target) return undefined
      return { ...before, start: target, timeMs: Math.max(timeMs, before?.timeMs ?? timeMs) }
    })
    const below = await this.#places.sequenceOf(place, target)
    await this.#marksGo(place, below)
    await removeBelow(this.#connection, place.known.stream, { subject: this.#places.subject(place), below })
    return (await this.#measure(place)).start
  }

  #key({ known, partition }: KnownPlace): string {
    return this.#names.key('start', known.id, String(partition))
  }

  #take(place: KnownPlace, { start, timeMs, end = start }: StartNote): void {
    place.start = Math.max(place.start, start)
    place.timeMs = Math.max(place.timeMs, timeMs ?? place.timeMs)
    place.grow(end)
  }

  #messageFrom(place: KnownPlace, sequence: number): Promise<StoredMessage | undefined> {
    return this.#places.messageFrom(place, sequence)
  }

  /** The first record from an offset on. */
  async #recordFrom(place: KnownPlace, offset: Offset): Promise<{ readonly offset: Offset } | undefined> {
    for (let sequence = await this.#places.sequenceOf(place, offset); ; ) {
      const message = await this.#messageFrom(place, sequence)
      if (message === undefined) return undefined
      const frame = decodeFrame(message.data)
      const first = place.offsetOf(message.sequence, 0, frame)
      const count = frame?.records.length ?? 1
      // What is damaged of what was moved cannot say where it is.
      if (first === undefined) return { offset }
      if (offset < first + count) return { offset: Math.max(offset, first) }
      sequence = message.sequence + 1
    }
  }

  /** The messages of a place, and its bytes by its share of the messages of its topic. */
  async #sizeOf(place: KnownPlace): Promise<{ readonly messages: number; readonly bytes: number }> {
    const { stream } = place.known
    const { state } = await this.#connection.call<StreamInfo>(`STREAM.INFO.${stream}`)
    const subjects = await subjectsOf(this.#connection, stream, this.#places.subject(place))
    let messages = 0
    for (const count of subjects.values()) messages += count
    const share = state.messages === 0 ? 0 : Math.min(1, messages / state.messages)
    return { messages, bytes: Math.ceil(state.bytes * share) }
  }

  /** The offset of the first message behind which, itself included, there are so many bytes at most. */
  async #behindBytes(
    place: KnownPlace,
    { start, end }: { readonly start: Offset; readonly end: Offset },
    keepBytes: number,
  ): Promise<Offset> {
    const { messages, bytes } = await this.#sizeOf(place)
    const keep = bytes === 0 ? 0 : Math.floor((keepBytes * messages) / bytes)
    if (keep === 0) return end
    let low = await this.#places.sequenceOf(place, start)
    let high = (await this.#places.sequenceOf(place, end)) + 1
    // From `high` on there are no more messages than are kept; from below `low` on there are.
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if ((await this.#countFrom(place, middle)) > keep) low = middle + 1
      else high = middle
    }
    const first = await this.#messageFrom(place, low)
    if (first === undefined) return end
    return Math.min(place.offsetOf(first.sequence, 0, decodeFrame(first.data)) ?? start, end)
  }

  /** How many messages a place has from a sequence on, which servers say of a consumer that begins there. */
  async #countFrom(place: KnownPlace, sequence: number): Promise<number> {
    const { stream } = place.known
    const at = { stream, subject: this.#places.subject(place), from: sequence }
    const { name, num_pending: count } = await createConsumer(this.#connection, at)
    await this.#connection.call(`CONSUMER.DELETE.${stream}.${name}`)
    return count
  }
}

function lastTimeOf({ data }: StoredMessage): number {
  return decodeFrame(data)?.records.at(-1)?.timeMs ?? Number.NEGATIVE_INFINITY
}
