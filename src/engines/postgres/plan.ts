import type { Appended, Entry, Offset } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import { idReused, topicUnknown } from './failures.ts'
import type { StoredId } from './id-block.ts'
import type { BroughtId, BroughtIds } from './identities.ts'
import type { PlannedPlace } from './planned-place.ts'
import type { Receipt } from './receipt.ts'
import type { CommitPart } from './step.ts'

/** Places by topic and partition; absent where the topic is not there. */
export type Places = ReadonlyMap<string, ReadonlyMap<number, PlannedPlace>>

/** What a plan is made from. */
export interface Ground {
  readonly places: Places
  readonly ids: BroughtIds
  /** Throws when there is no room for so many bytes more. */
  checkRoom(addedBytes: number, whose: 'publishers' | 'handlers'): void
}

/** What becomes of one entry: it repeats a record, or an earlier entry of the call, or is new. */
interface Fate {
  readonly entry: Entry
  readonly place: PlannedPlace
  readonly id: BroughtId | undefined
  readonly repeats: (Appended & { offset: Offset }) | undefined
  /** The index of that entry. */
  readonly sameAs: number | undefined
}

/** What one transaction writes, as its steps are added one after the other. */
export class Plan {
  /** The places that it is about. */
  readonly places: PlannedPlace[] = []
  /** To be remembered: each with the number of its place in the plan as that of its topic. */
  readonly ids: StoredId[] = []
  /** What becomes of the steps that were added. */
  readonly #appended: { offset: Offset }[] = []
  readonly #places: PlannedPlace[] = []
  /** The last word on each key. */
  readonly values = new Map<
    string,
    { readonly of: CommitPart; readonly key: Buffer; readonly value?: Uint8Array }
  >()
  readonly needs = new Map<
    string,
    { readonly of: CommitPart; readonly place: PlannedPlace; readonly offset: Offset }
  >()
  readonly #ground: Ground
  #addedBytes = 0

  constructor(ground: Ground) {
    this.#ground = ground
  }

  /** It is written: gives the places and what was appended their offsets. */
  written({ topicIds, ends }: Receipt): void {
    this.places.forEach((place, index) => {
      place.topicId = topicIds[index] as number
      place.before = ends[index] as Offset
    })
    for (const [index, appended] of this.#appended.entries()) {
      appended.offset += (this.#places[index] as PlannedPlace).before
    }
  }

  /** Adds a step, and gives what becomes of it, which is so once the plan is written; throws when it must be refused, and then it has changed nothing. */
  add(entries: readonly Entry[], commit?: CommitPart): readonly Appended[] {
    const fates: Fate[] = []
    const within = entries.length > 1 ? new Map<BroughtId, number>() : undefined
    let bytes = 0
    for (const entry of entries) {
      const fate = this.#decide(entry, fates, within)
      fates.push(fate)
      if (fate.repeats === undefined && fate.sameAs === undefined) bytes += entry.value.length
    }
    if (bytes > 0)
      this.#ground.checkRoom(this.#addedBytes + bytes, commit === undefined ? 'publishers' : 'handlers')
    this.#addedBytes += bytes
    const appended: Appended[] = []
    for (const fate of fates) appended.push(this.#append(fate, appended))
    if (commit !== undefined) this.#addCommit(commit)
    return appended
  }

  /** `within` has the first entry of the call for each id. */
  #decide(entry: Entry, before: readonly Fate[], within: Map<BroughtId, number> | undefined): Fate {
    const { topic, partition, deduplicationId } = entry
    const place = this.#ground.places.get(topic)?.get(partition)
    if (place === undefined) throw topicUnknown(topic)
    const id = deduplicationId === undefined ? undefined : this.#ground.ids.get(topic)?.get(deduplicationId)
    if (id === undefined) return { entry, place, id, repeats: undefined, sameAs: undefined }
    const sameAs = within?.get(id)
    const seen = sameAs === undefined ? id.sighting : undefined
    const value = sameAs === undefined ? seen?.value : before[sameAs]?.entry.value
    if (value !== undefined && compareEvents(value, entry.value) === 'changed') throw idReused(entry)
    if (sameAs === undefined) within?.set(id, before.length)
    const repeats = seen && { topic, partition: seen.partition, offset: seen.offset, duplicate: true }
    return { entry, place, id, repeats, sameAs }
  }

  #append({ entry, place, id, repeats, sameAs }: Fate, before: readonly Appended[]): Appended {
    const first = sameAs === undefined ? undefined : before[sameAs]
    const repeated = first === undefined ? repeats : { ...first, duplicate: true }
    if (repeated !== undefined) {
      const seenIn = id?.sighting?.place
      if (seenIn !== undefined) this.#note(repeated, seenIn)
      return repeated
    }
    const { topic, partition, value } = entry
    const offset = place.records.length
    place.bytes += value.length
    place.lastTimeMs = Math.max(entry.timeMs, place.lastTimeMs)
    place.records.push({ offset, timeMs: place.lastTimeMs, value })
    this.#use(place)
    if (id !== undefined) {
      id.sighting = { partition, offset, value, place }
      this.ids.push({ high: id.high, low: id.low, topicId: place.nth, partition, offset })
    }
    const appended = { topic, partition, offset, duplicate: false }
    this.#note(appended, place)
    return appended
  }

  #use(place: PlannedPlace): void {
    if (place.nth === 0) place.nth = this.places.push(place)
  }

  #note(appended: { offset: Offset }, place: PlannedPlace): void {
    this.#appended.push(appended)
    this.#places.push(place)
  }

  #addCommit(commit: CommitPart): void {
    const prefix = `${commit.groupId}/${commit.partition}/`
    for (const key of commit.deletes) this.values.set(prefix + key.toString('latin1'), { of: commit, key })
    for (const { key, value } of commit.puts) {
      this.values.set(prefix + key.toString('latin1'), { of: commit, key, value })
    }
    for (const [topic, offset] of Object.entries(commit.needs)) {
      const place = this.#ground.places.get(topic)?.get(commit.partition)
      if (place === undefined) continue
      this.#use(place)
      this.needs.set(`${prefix}${topic}`, { of: commit, place, offset })
    }
  }
}
