import { MillraceError } from '../../core/errors.ts'
import type {
  ClaimContents,
  ClaimName,
  IdPage,
  LogContents,
  PlaceEnds,
  RememberedId,
  StateLimits,
} from '../../log/moving.ts'
import type { Batch, KeyValue, Offset, Place, ReadLimits, Topic } from '../../log/port.ts'
import { checksumOf } from './block.ts'
import type { Row } from './connection.ts'
import type { Database } from './database.ts'
import { topicUnknown } from './failures.ts'
import { idAt, idsIn, placesIn } from './id-block.ts'
import { readRecords } from './records.ts'
import { listTopics } from './topics.ts'

const endsText = `select p.start_offset, p.end_offset, p.last_time_ms
  from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2`

const claimText = `select
    coalesce((select epoch from claim where group_id = g.id and partition = $2), 0) as epoch,
    (select coalesce(json_object_agg(t.name, n."offset"), '{}') from need n join topic t on t.id = n.topic_id
     where n.group_id = g.id and n.partition = $2)::text as needs
  from consumer_group g where g.name = $1`

const stateText = `select key, checksum, value from (
    select s.key, s.checksum, s.value, row_number() over by_key as nth,
           sum(octet_length(s.value)) over (by_key rows unbounded preceding) as total
    from state s join consumer_group g on g.id = s.group_id
    where g.name = $1 and s.partition = $2 and s.key > $3
    window by_key as (order by s.key)
    order by s.key limit $4
  ) as portion where nth = 1 or total <= $5 order by key`

const idsText = `select sequence, at_ms, ids, topic_ids, ends from id_batch
  where sequence > $1 order by sequence limit $2`

const idBlocksAtOnce = 100

/** All that the log in one schema holds. */
export class PostgresContents implements LogContents {
  protected readonly database: Database
  #partitions: number | undefined

  constructor(database: Database, partitions?: number) {
    this.database = database
    this.#partitions = partitions
  }

  get partitions(): number {
    if (this.#partitions === undefined) throw new TypeError('there is no log yet')
    return this.#partitions
  }

  protected setPartitions(partitions: number): void {
    this.#partitions = partitions
  }

  listTopics(): Promise<readonly Topic[]> {
    return listTopics(this.database)
  }

  async ends({ topic, partition }: Place): Promise<PlaceEnds> {
    const [row] = await this.database.read('ends', endsText, [topic, partition])
    if (row === undefined) throw topicUnknown(topic)
    return {
      start: Number(row.start_offset),
      end: Number(row.end_offset),
      lastTimeMs: Number(row.last_time_ms),
    }
  }

  read(at: Place, from: Offset, limits: ReadLimits): Promise<Batch> {
    return readRecords(this.database, at, from, limits)
  }

  async listGroups(): Promise<readonly string[]> {
    const rows = await this.database.read('groups', 'select name from consumer_group order by name', [])
    return rows.map(({ name }) => String(name))
  }

  async claim({ group, partition }: ClaimName): Promise<ClaimContents> {
    const [row] = await this.database.read('claim-contents', claimText, [group, partition])
    const needs = JSON.parse(String(row?.needs ?? '{}')) as Record<string, Offset>
    return { epoch: Number(row?.epoch ?? 0), needs }
  }

  async state(
    { group, partition }: ClaimName,
    after: string | undefined,
    limits: StateLimits,
  ): Promise<readonly KeyValue[]> {
    const from = after === undefined ? Buffer.alloc(0) : Buffer.from(after)
    const values = [group, partition, from, Math.max(1, limits.values), limits.bytes]
    const rows = await this.database.read('state-contents', stateText, values)
    return rows.map((row) => toKeyValue(`${group}/${partition}`, row))
  }

  async ids(from: number, limit: number): Promise<IdPage> {
    const topics = await this.database.read('topic-ids', 'select id, name from topic', [])
    const names = new Map(topics.map(({ id, name }) => [Number(id), String(name)]))
    const ids: RememberedId[] = []
    let next = from
    while (ids.length === 0) {
      const rows = await this.database.read('ids', idsText, [next, idBlocksAtOnce])
      for (const row of rows) {
        const block = row.ids as Buffer
        const first = Number(row.sequence) - idsIn(block)
        const places = placesIn(row)
        for (let index = Math.max(0, next - first); index < idsIn(block) && ids.length < limit; index += 1) {
          const { topicId, partition, offset } = idAt(block, index, places)
          const topic = names.get(topicId)
          // Those of a topic that was deleted stay until they are too old.
          if (topic !== undefined) ids.push({ topic, partition, offset, timeMs: Number(row.at_ms) })
          next = first + index + 1
        }
      }
      if (rows.length === 0) break
    }
    return { ids, next }
  }

  async close(): Promise<void> {
    await this.database.close()
  }
}

function toKeyValue(where: string, row: Row): KeyValue {
  const key = (row.key as Buffer).toString()
  const value = row.value as Buffer
  if (checksumOf(value) === Number(row.checksum)) return { key, value: new Uint8Array(value) }
  throw new MillraceError('LOG_DAMAGED', 'A value of the state does not match its checksum.', {
    where: `${where}: ${key}`,
    fix: 'Restore the database from a backup.',
  })
}
