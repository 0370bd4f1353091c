import type { Appended, Entry, Offset } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import type { NewRecord } from './block.ts'
import { idReused, topicUnknown } from './failures.ts'
import type { StoredId } from './id-block.ts'
import type { BroughtId, BroughtIds } from './identities.ts'
import type { CommitPart } from './step.ts'

/** The row of a place, locked, as it becomes. */
export interface PlannedPlace {
  readonly topicId: number
  readonly partition: number
  endOffset: Offset
  appendedBytes: number
  lastTimeMs: number
  /** What is to be appended. */
  readonly records: NewRecord[]
}

/** Places by topic and partition; absent where the topic is not there. */
export type Places = ReadonlyMap<string, ReadonlyMap<number, PlannedPlace>>

/** What a plan is made from: rows of the database, all of them locked. */
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
  readonly repeats: Appended | undefined
  /** The index of that entry. */
  readonly sameAs: number | undefined
}

/** What one transaction writes, as its steps are added one after the other. */
export class Plan {
  /** The places that have grown. */
  readonly grown = new Set<PlannedPlace>()
  /** To be remembered. */
  readonly ids: StoredId[] = []
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

  /** Adds a step; throws when it must be refused, and then it has changed nothing. */
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
    if (repeats !== undefined) return repeats
    const first = sameAs === undefined ? undefined : before[sameAs]
    if (first !== undefined) return { ...first, duplicate: true }
    const { topic, partition, value } = entry
    const offset = place.endOffset
    place.endOffset += 1
    place.appendedBytes += value.length
    place.lastTimeMs = Math.max(entry.timeMs, place.lastTimeMs)
    place.records.push({ offset, timeMs: place.lastTimeMs, value })
    this.grown.add(place)
    if (id !== undefined) {
      id.sighting = { partition, offset, value }
      this.ids.push({ high: id.high, low: id.low, topicId: place.topicId, partition, offset })
    }
    return { topic, partition, offset, duplicate: false }
  }

  #addCommit(commit: CommitPart): void {
    const prefix = `${commit.groupId}/${commit.partition}/`
    for (const key of commit.deletes) this.values.set(prefix + key.toString('latin1'), { of: commit, key })
    for (const { key, value } of commit.puts) {
      this.values.set(prefix + key.toString('latin1'), { of: commit, key, value })
    }
    for (const [topic, offset] of Object.entries(commit.needs)) {
      const place = this.#ground.places.get(topic)?.get(commit.partition)
      if (place !== undefined) this.needs.set(`${prefix}${topic}`, { of: commit, place, offset })
    }
  }
}
