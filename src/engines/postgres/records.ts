import type { Batch, Offset, Place, ReadLimits, StoredRecord, TrimLimits } from '../../log/port.ts'
import { Block, headColumns } from './block.ts'
import type { Connection, Row } from './connection.ts'
import type { Database } from './database.ts'
import { offsetTrimmed, recordCorrupt, topicUnknown } from './failures.ts'

const placeText = `select p.topic_id, p.start_offset, p.end_offset, p.appended_bytes, p.trimmed_bytes
  from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2`

// One row is given even when there is no record: the place, without a value. Offsets may skip, but no more records than asked for are up
// to the block of the last offset that they could have.
const readText = `
select p.start_offset, p.end_offset, b."offset", b.time_ms, b.least_time_ms, b.appended_bytes, b.checksum, b.head, b.value
from topic t join place p on p.topic_id = t.id
left join lateral (
  select * from (
    select "offset", time_ms, least_time_ms, checksum, head, value, appended_bytes,
           first_value(appended_bytes - octet_length(value)) over (order by "offset") as beginning,
           row_number() over (order by "offset") as nth
    from record_block where topic_id = p.topic_id and partition = p.partition and "offset" >= $3::bigint
      and "offset" <= coalesce((
        select "offset" from record_block where topic_id = p.topic_id and partition = p.partition
          and "offset" >= $3::bigint + greatest($4::bigint, 1) - 1 order by "offset" limit 1
      ), ${Number.MAX_SAFE_INTEGER})
  ) as page where nth = 1 or appended_bytes - beginning <= $5::double precision
) as b on $3::bigint >= p.start_offset
where t.name = $1 and p.partition = $2
order by b."offset"`

const mostRecords = 100_000

/** Reads visible records, all of one moment. */
export async function readRecords(
  database: Database,
  at: Place,
  from: Offset,
  limits: ReadLimits,
): Promise<Batch> {
  const most = { ...limits, records: Math.ceil(Math.min(limits.records, mostRecords)) }
  const rows = await database.read('read', readText, [
    at.topic,
    at.partition,
    from,
    most.records,
    limits.bytes,
  ])
  const [first] = rows
  if (first === undefined) throw topicUnknown(at.topic)
  const start = Number(first.start_offset)
  if (from < start) throw offsetTrimmed(at, from, start)
  if (first.offset === null) return { records: [], next: Math.max(from, Number(first.end_offset)) }
  const records: StoredRecord[] = []
  let next = from
  let bytes = 0
  for (const row of rows) {
    const block = new Block(row)
    if (!block.isReadable) break
    let index = block.indexFrom(next)
    for (; index < block.count; index += 1) {
      const offset = block.offsetAt(index)
      const value = block.valueAt(index)
      if (value === undefined) {
        if (records.length === 0) next = offset
        break
      }
      bytes += value.length
      if (records.length > 0 && (records.length >= most.records || bytes > most.bytes)) break
      records.push({ offset, timeMs: block.timeMsAt(index), value })
      next = offset + 1
    }
    if (index < block.count) break
  }
  if (records.length === 0) throw recordCorrupt(at, next)
  return { records, next }
}

/**
 * Finds the first block of a place for which a condition on its row `b` holds, by halving: the condition must not hold for
 * blocks before one for which it does. Offsets may skip, so a half is judged by its first block. `$3` is what it compares with.
 */
function halving(condition: string): string {
  const middle = '(f.low + f.high) / 2'
  const isBelow = `b."offset" is null or b."offset" >= f.high or ${condition}`
  return `with recursive found (topic_id, partition, low, high, start_offset, end_offset) as (
    select p.topic_id, p.partition, p.start_offset, p.end_offset, p.start_offset, p.end_offset
    from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2
    union all
    select f.topic_id, f.partition, case when ${isBelow} then f.low else b."offset" + 1 end,
           case when ${isBelow} then ${middle} else f.high end, f.start_offset, f.end_offset
    from found f left join lateral (
      select * from record_block where topic_id = f.topic_id and partition = f.partition and "offset" >= ${middle}
      order by "offset" limit 1
    ) as b on true
    where f.low < f.high
  ) select f.start_offset, f.end_offset, b.*
    from found f left join lateral (
      select ${headColumns} from record_block
      where topic_id = f.topic_id and partition = f.partition and "offset" >= f.low
      order by "offset" limit 1
    ) as b on true
    where f.low >= f.high`
}

const byTime = halving('b.time_ms >= $3::double precision')
const bySize = halving('b.appended_bytes >= $3::double precision')

/** The smallest offset of at least a time. */
export async function findByTime(database: Database, at: Place, timeMs: number): Promise<Offset> {
  const [row] = await database.read('by-time', byTime, [at.topic, at.partition, timeMs])
  if (row === undefined) throw topicUnknown(at.topic)
  if (row.offset === null) return Number(row.end_offset)
  const block = new Block(row)
  const index = Math.max(block.indexFromTime(timeMs), block.indexFrom(Number(row.start_offset)))
  return block.isReadable ? block.offsetAt(Math.min(index, block.count - 1)) : block.last
}

/** The smallest offset for which the records before it have at least so many bytes, removed ones too. */
async function findBySize(database: Database, at: Place, bytes: number): Promise<Offset> {
  const [row] = await database.read('by-size', bySize, [at.topic, at.partition, bytes])
  if (row === undefined) throw topicUnknown(at.topic)
  if (row.offset === null) return Number(row.end_offset)
  const block = new Block(row)
  return block.isReadable ? block.offsetAt(block.indexFromBytes(bytes)) + 1 : block.last + 1
}

const blocksRemovedAtOnce = 1000

/** Removes what the limits let go and no group needs; gives the new start. */
export async function trimPlace(database: Database, at: Place, limits: TrimLimits): Promise<Offset> {
  const target = await trimTarget(database, at, limits)
  for (;;) {
    const { start, goesOn } = await database.transact((connection) => trimSome(connection, at, target))
    if (!goesOn) return start
  }
}

/** The offset below which everything may go by these limits, whatever groups need. */
async function trimTarget(database: Database, at: Place, limits: TrimLimits): Promise<Offset> {
  const { before, beforeTimeMs, keepBytes } = limits
  const [place] = await database.read('bounds', placeText, [at.topic, at.partition])
  if (place === undefined) throw topicUnknown(at.topic)
  const targets = [Number(place.start_offset)]
  if (before !== undefined) targets.push(before)
  if (beforeTimeMs !== undefined) targets.push(await findByTime(database, at, beforeTimeMs))
  if (keepBytes !== undefined) {
    const beyond = Number(place.appended_bytes) - keepBytes
    if (beyond > Number(place.trimmed_bytes)) targets.push(await findBySize(database, at, beyond))
  }
  return Math.max(...targets)
}

async function trimSome(
  connection: Connection,
  { topic, partition }: Place,
  target: Offset,
): Promise<{ start: Offset; goesOn: boolean }> {
  const [place] = await connection.rows(`${placeText} for no key update of p`, [topic, partition])
  if (place === undefined) throw topicUnknown(topic)
  const start = Number(place.start_offset)
  const [needed] = await connection.rows(
    'select min("offset") as "offset" from need where topic_id = $1 and partition = $2',
    [place.topic_id, partition],
  )
  const lowest = needed?.offset === null ? Number.POSITIVE_INFINITY : Number(needed?.offset)
  const allowed = Math.min(target, lowest, Number(place.end_offset))
  if (allowed <= start) return { start, goesOn: false }
  const blocks = 'from record_block where topic_id = $1 and partition = $2 and "offset"'
  const [lastOfSome] = await connection.rows(
    `select "offset" ${blocks} < $3 order by "offset" offset ${blocksRemovedAtOnce - 1} limit 1`,
    [place.topic_id, partition, allowed],
  )
  const to = lastOfSome === undefined ? allowed : Number(lastOfSome.offset) + 1
  // A block of which some records stay stays whole.
  const [row] = await connection.rows(`select ${headColumns} ${blocks} >= $3 order by "offset" limit 1`, [
    ...[place.topic_id, partition, to],
  ])
  await connection.query(`delete ${blocks} < $3`, [place.topic_id, partition, to])
  await connection.query(
    'update place set start_offset = $3, trimmed_bytes = $4 where topic_id = $1 and partition = $2',
    [place.topic_id, partition, to, row === undefined ? place.appended_bytes : bytesBefore(row, to)],
  )
  return { start: to, goesOn: to < allowed }
}

function bytesBefore(row: Row, offset: Offset): number {
  const block = new Block(row)
  return block.appendedBefore(block.isReadable ? block.indexFrom(offset) : 0)
}
