import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Appended, Entry, Offset } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import { idReused, topicUnknown } from './failures.ts'
import type { CommitPart } from './step.ts'

/** The row of a place, locked, as it becomes. */
export interface PlannedPlace {
  readonly topicId: number
  readonly partition: number
  endOffset: Offset
  appendedBytes: number
  lastTimeMs: number
}

/** A record to be written. */
export interface PlannedRecord {
  readonly place: PlannedPlace
  readonly offset: Offset
  readonly timeMs: number
  readonly appendedBytes: number
  readonly checksum: number
  readonly value: Uint8Array
}

/** Where the record of an id is; `value` is undefined when it was trimmed or is corrupt, and cannot be compared. */
export interface Sighting {
  readonly partition: number
  readonly offset: Offset
  readonly value: Uint8Array | undefined
}

/** An id to be remembered. */
export interface PlannedIdentity {
  readonly topicId: number
  readonly id: Buffer
  readonly partition: number
  readonly offset: Offset
}

/** What a plan is made from: rows of the database, all of them locked. */
export interface Ground {
  /** By {@link placeName}; absent where the topic is not there. */
  readonly places: Map<string, PlannedPlace>
  /** By {@link sightingName}. */
  readonly sightings: Map<string, Sighting>
  /** What the ids of the steps are stored as. */
  readonly hashes: ReadonlyMap<string, Buffer>
  /** Throws when there is no room for so many bytes more. */
  checkRoom(addedBytes: number, whose: 'publishers' | 'handlers'): void
}

/** What becomes of one entry: it repeats a record, or an earlier entry of the call, or is new. */
interface Fate {
  readonly entry: Entry
  readonly place: PlannedPlace
  readonly name: string | undefined
  readonly repeats?: Appended | undefined
  readonly sameAs?: number | undefined
}

/** How places are told apart. */
export function placeName(topic: string, partition: number): string {
  return `${partition}/${topic}`
}

/** How the ids of topics are told apart. */
export function sightingName(topicId: number, id: Buffer): string {
  return `${topicId}/${id.toString('latin1')}`
}

/** The bytes of {@link hashOfId}. */
export const hashBytes = 32

/** What an id is stored as: as long as any other, and nobody can choose two that are the same. */
export function hashOfId(id: string): Buffer {
  return hash('sha256', id, 'buffer')
}

/** The checksum of stored bytes. */
export function checksumOf(value: Uint8Array): number {
  return crc32(value)
}

/** What one transaction writes, as its steps are added one after the other. */
export class Plan {
  readonly records: PlannedRecord[] = []
  readonly identities = new Map<string, PlannedIdentity>()
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
    const fates = this.#decide(entries)
    let bytes = 0
    for (const { entry, repeats, sameAs } of fates) {
      if (repeats === undefined && sameAs === undefined) bytes += entry.value.length
    }
    if (bytes > 0)
      this.#ground.checkRoom(this.#addedBytes + bytes, commit === undefined ? 'publishers' : 'handlers')
    this.#addedBytes += bytes
    const appended: Appended[] = []
    for (const fate of fates) appended.push(this.#append(fate, appended))
    if (commit !== undefined) this.#addCommit(commit)
    return appended
  }

  #decide(entries: readonly Entry[]): Fate[] {
    const fates: Fate[] = []
    const within = new Map<string, number>()
    for (const entry of entries) {
      const { topic, partition, deduplicationId } = entry
      const place = this.#ground.places.get(placeName(topic, partition))
      if (place === undefined) throw topicUnknown(topic)
      if (deduplicationId === undefined) {
        fates.push({ entry, place, name: undefined })
        continue
      }
      const name = sightingName(place.topicId, this.#hashOf(deduplicationId))
      const sameAs = within.get(name)
      const seen = sameAs === undefined ? this.#ground.sightings.get(name) : undefined
      const before = sameAs === undefined ? seen?.value : fates[sameAs]?.entry.value
      if (before !== undefined && compareEvents(before, entry.value) === 'changed') throw idReused(entry)
      if (sameAs === undefined) within.set(name, fates.length)
      const repeats = seen && { topic, partition: seen.partition, offset: seen.offset, duplicate: true }
      fates.push({ entry, place, name, repeats, sameAs })
    }
    return fates
  }

  #append({ entry, place, name, repeats, sameAs }: Fate, before: readonly Appended[]): Appended {
    if (repeats !== undefined) return repeats
    const first = sameAs === undefined ? undefined : before[sameAs]
    if (first !== undefined) return { ...first, duplicate: true }
    const { topic, partition, value, deduplicationId } = entry
    const offset = place.endOffset
    place.endOffset += 1
    place.appendedBytes += value.length
    place.lastTimeMs = Math.max(entry.timeMs, place.lastTimeMs)
    const { appendedBytes, lastTimeMs: timeMs } = place
    this.records.push({ place, offset, timeMs, appendedBytes, checksum: checksumOf(value), value })
    if (name !== undefined && deduplicationId !== undefined) {
      this.#ground.sightings.set(name, { partition, offset, value })
      this.identities.set(name, {
        topicId: place.topicId,
        id: this.#hashOf(deduplicationId),
        partition,
        offset,
      })
    }
    return { topic, partition, offset, duplicate: false }
  }

  #hashOf(id: string): Buffer {
    return this.#ground.hashes.get(id) ?? hashOfId(id)
  }

  #addCommit(commit: CommitPart): void {
    const prefix = `${commit.groupId}/${commit.partition}/`
    for (const key of commit.deletes) this.values.set(prefix + key.toString('latin1'), { of: commit, key })
    for (const { key, value } of commit.puts) {
      this.values.set(prefix + key.toString('latin1'), { of: commit, key, value })
    }
    for (const [topic, offset] of Object.entries(commit.needs)) {
      const place = this.#ground.places.get(placeName(topic, commit.partition))
      if (place !== undefined) this.needs.set(`${prefix}${topic}`, { of: commit, place, offset })
    }
  }
}
