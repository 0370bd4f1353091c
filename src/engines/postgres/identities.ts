import { hash } from 'node:crypto'
import { DeduplicationWindow, type Fingerprint } from '../../log/deduplication-window.ts'
import type { Entry, Offset } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import { Block } from './block.ts'
import { arrayIn, arrayOf } from './columns.ts'
import type { Connection, Row } from './connection.ts'
import { idAt, idBytes, idsIn, lowAt, placesIn, type StoredId } from './id-block.ts'
import type { PlannedPlace } from './planned-place.ts'
import type { Step } from './step.ts'

/** Where the record of an id is; `value` is undefined when it was trimmed or is corrupt, and cannot be compared. */
export interface Sighting {
  readonly partition: number
  readonly offset: Offset
  readonly value: Uint8Array | undefined
  /** The place of which the offset counts, where the record is about to be written with the id. */
  readonly place?: PlannedPlace
}

/** An id that the steps of a transaction bring. */
export interface BroughtId extends Fingerprint {
  /** The first entry that bears it. */
  readonly entry: Entry
  /** The record that it stands for, of an earlier transaction or of this one. */
  sighting: Sighting | undefined
}

/** The ids of a transaction, by topic and id. */
export type BroughtIds = ReadonlyMap<string, ReadonlyMap<string, BroughtId>>

/** Whether a step brings an id. */
export function bringsIds({ entries }: Step): boolean {
  return entries.some(({ deduplicationId }) => deduplicationId !== undefined)
}

/** What an id is known by. `key` is the log's own, so that nobody can choose ids for which that is the same. */
export function fingerprintOf(key: string, id: string): Fingerprint {
  const digest = hash('sha256', key + id, 'binary')
  return { high: halfAt(digest, 0), low: halfAt(digest, 4) }
}

/** Halves are signed, as everywhere. */
function halfAt(digest: string, position: number): number {
  return (
    (digest.charCodeAt(position) << 24) |
    (digest.charCodeAt(position + 1) << 16) |
    (digest.charCodeAt(position + 2) << 8) |
    digest.charCodeAt(position + 3)
  )
}

const lockText = 'select id_count from log for no key update'
const newerText = `select sequence, at_ms, lows, case when lows is null then ids end as ids
  from id_batch where sequence > $1 and sequence <> $3 order by sequence limit $2`
const blocksAtOnce = 1000
/** Who has not looked for so long looks before anybody has to wait. */
const staleMs = 1000

/** Of each number the id that has it, which is in the first block that ends behind it. */
const entriesText = `select substring(b.ids from (w.number - b.sequence)::integer * ${idBytes} + octet_length(b.ids) + 1 for ${idBytes}) as id, w.number,
    b.topic_ids, b.ends
  from unnest($1::bigint[]) as w (number)
  cross join lateral (
    select sequence, ids, topic_ids, ends from id_batch where sequence > w.number order by sequence limit 1
  ) as b
  where w.number >= b.sequence - octet_length(b.ids) / ${idBytes}
  order by w.number`

/** The blocks of places that have records of these offsets, each once. */
const blocksText = `select p.topic_id, p.partition, p.start_offset, b."offset", b.time_ms, b.appended_bytes, b.checksum, b.head, b.value
  from (
    select distinct topic_id, partition, (
      select "offset" from record_block
      where topic_id = w.topic_id and partition = w.partition and "offset" >= w."offset" order by "offset" limit 1
    ) as last
    from unnest($1::integer[], $2::integer[], $3::bigint[]) as w (topic_id, partition, "offset")
  ) as k
  join place p on p.topic_id = k.topic_id and p.partition = k.partition
  join record_block b on b.topic_id = k.topic_id and b.partition = k.partition and b."offset" = k.last`

/**
 * The ids of a log as one process knows them. Each transaction that brings some writes them as one row, and holds the row of the log
 * meanwhile. What others have written since this process looked last the server goes through when it writes; where one may be among
 * them, the process locks the log itself, and reads them first.
 */
export class Identities {
  readonly #key: string
  readonly #options: { readonly windowMs: number; readonly maxIds: number }
  #window: DeduplicationWindow
  /** How many ids were ever written, as far as they are known. */
  #known = 0
  #lookedMs = Number.NEGATIVE_INFINITY
  /** What this process has written behind what it does not know yet. */
  #own: { readonly sequence: number; readonly ids: readonly StoredId[]; readonly atMs: number } | undefined

  constructor(key: string, options: { readonly windowMs: number; readonly maxIds: number }) {
    this.#key = key
    this.#options = options
    this.#window = new DeduplicationWindow(options)
  }

  /** How many ids were ever written, as far as they are known here. */
  get known(): number {
    return this.#known
  }

  /** Whether some may stand for a record already, of those that are known here. */
  mayKnow(brought: BroughtIds): boolean {
    for (const ids of brought.values()) {
      for (const id of ids.values()) if (this.#window.find(id).length > 0) return true
    }
    return false
  }

  /** The ids that steps bring. */
  broughtBy(steps: readonly Step[]): BroughtIds {
    const brought = new Map<string, Map<string, BroughtId>>()
    for (const { entries } of steps) {
      for (const entry of entries) {
        const { topic, deduplicationId: id } = entry
        if (id === undefined) continue
        const ofTopic = brought.get(topic) ?? new Map<string, BroughtId>()
        if (ofTopic.size === 0) brought.set(topic, ofTopic)
        if (ofTopic.has(id)) continue
        const { high, low } = fingerprintOf(this.#key, id)
        ofTopic.set(id, { high, low, entry, sighting: undefined })
      }
    }
    return brought
  }

  /** Reads what others have written, where that is known or may be much, before the log is locked. */
  async catchUp(connection: Connection, nowMs: number): Promise<void> {
    if (this.#own === undefined && nowMs >= this.#lookedMs && nowMs - this.#lookedMs < staleMs) return
    this.#lookedMs = nowMs
    this.#window.expire(nowMs)
    for (;;) {
      const values = [this.#known, blocksAtOnce, this.#own?.sequence ?? 0]
      const rows = await connection.rows(newerText, values, 'newer-ids')
      this.#take(rows)
      if (rows.length < blocksAtOnce) break
    }
    this.#takeOwn()
  }

  /** Locks the log for those who bring ids, and reads what others have written; gives how many ids there ever were. */
  async lock(connection: Connection, nowMs: number): Promise<number> {
    const known = this.#known
    this.#own = undefined
    const [[log], rows] = await Promise.all([
      connection.rows(lockText, [], 'lock-log'),
      connection.rows(newerText, [known, Number.MAX_SAFE_INTEGER, 0], 'newer-ids'),
    ])
    const count = Number(log?.id_count)
    if (count < known) {
      // The server has lost transactions, as one can that took the place of another.
      this.#known = 0
      this.#window = new DeduplicationWindow(this.#options)
      this.#take(await connection.rows(newerText, [0, Number.MAX_SAFE_INTEGER, 0], 'newer-ids'))
    } else this.#take(rows)
    this.#known = count
    this.#lookedMs = nowMs
    this.#window.expire(nowMs)
    return count
  }

  #take(rows: readonly Row[]): void {
    for (const row of rows) {
      const sequence = Number(row.sequence)
      const lows = lowsOf(row)
      if (this.#own !== undefined && sequence > this.#own.sequence) this.#takeOwn()
      this.#follow(sequence - lows.length)
      for (const low of lows) this.#window.add({ low }, Number(row.at_ms))
      this.#known = sequence
    }
  }

  #takeOwn(): void {
    if (this.#own === undefined) return
    const { ids, sequence, atMs } = this.#own
    this.#own = undefined
    this.#follow(sequence - ids.length)
    for (const id of ids) this.#window.add(id, atMs)
    this.#known = sequence
  }

  /** What is missing in between was forgotten by others, and all before it. */
  #follow(first: number): void {
    if (first !== this.#window.next) this.#window = new DeduplicationWindow(this.#options, first)
  }

  /** Ids were written by this process behind so many, and that holds. */
  added(ids: readonly StoredId[], before: number, nowMs: number): void {
    if (ids.length === 0) return
    this.#own = { ids, sequence: before + ids.length, atMs: nowMs }
    // Else when what others have written before is known.
    if (before === this.#known) this.#takeOwn()
  }

  /** Gives those ids that stand for a record already their sighting. The log is locked. */
  async see(connection: Connection, brought: BroughtIds, topics: ReadonlyMap<string, number>): Promise<void> {
    const maybe = new Map<number, { readonly id: BroughtId; readonly topicId: number | undefined }[]>()
    for (const [topic, ids] of brought) {
      const topicId = topics.get(topic)
      ids.forEach((id) => {
        for (const number of this.#window.find(id)) {
          maybe.set(number, [...(maybe.get(number) ?? []), { id, topicId }])
        }
      })
    }
    if (maybe.size === 0) return
    const entries = await connection.rows(entriesText, [arrayOf([...maybe.keys()])], 'id-entries')
    const found: { readonly id: BroughtId; readonly stored: StoredId }[] = []
    for (const { number, ...entry } of entries) {
      const stored = idAt(entry.id as Buffer, 0, placesIn(entry))
      for (const { id, topicId } of maybe.get(Number(number)) ?? []) {
        if (stored.high === id.high && stored.low === id.low && stored.topicId === topicId)
          found.push({ id, stored })
      }
    }
    if (found.length > 0) await this.#compare(connection, found)
  }

  async #compare(
    connection: Connection,
    found: readonly { readonly id: BroughtId; readonly stored: StoredId }[],
  ): Promise<void> {
    const rows = await connection.rows(
      blocksText,
      [
        arrayOf(found.map(({ stored }) => stored.topicId)),
        arrayOf(found.map(({ stored }) => stored.partition)),
        arrayOf(found.map(({ stored }) => stored.offset)),
      ],
      'id-blocks',
    )
    const blocks = new Map<string, { readonly block: Block; readonly start: Offset }[]>()
    for (const row of rows) {
      const ofPlace = blocks.get(`${row.topic_id}/${row.partition}`) ?? []
      blocks.set(`${row.topic_id}/${row.partition}`, ofPlace)
      ofPlace.push({ block: new Block(row), start: Number(row.start_offset) })
    }
    for (const { id, stored } of found) {
      const { partition, offset } = stored
      const held = blocks
        .get(`${stored.topicId}/${partition}`)
        ?.find(({ block }) => block.isReadable && block.last >= offset && block.offsetAt(0) <= offset)
      const value = held === undefined || offset < held.start ? undefined : valueAt(held.block, offset)
      if (value === undefined || compareEvents(value, id.entry.value) !== 'other') {
        id.sighting = { partition, offset, value }
      }
    }
  }
}

function lowsOf({ lows, ids }: Row): readonly number[] {
  if (lows !== null) return arrayIn(lows)
  const block = ids as Buffer
  return Array.from({ length: idsIn(block) }, (_, index) => lowAt(block, index))
}

function valueAt(block: Block, offset: Offset): Uint8Array | undefined {
  const index = block.indexFrom(offset)
  return block.offsetAt(index) === offset ? block.valueAt(index) : undefined
}
