import type { Batch, Offset, Place, ReadLimits, StoredRecord, TrimLimits } from '../../log/port.ts'
import type { Connection, Row } from './connection.ts'
import type { Database } from './database.ts'
import { offsetTrimmed, recordCorrupt, topicUnknown } from './failures.ts'
import { checksumOf } from './plan.ts'

const placeText = `select p.topic_id, p.start_offset, p.end_offset, p.appended_bytes, p.trimmed_bytes
  from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2`

// One row is given even when there is no record: the place, without a value.
const readText = `
select p.start_offset, p.end_offset, r."offset", r.time_ms, r.checksum, r.value
from topic t join place p on p.topic_id = t.id
left join lateral (
  select * from (
    select "offset", time_ms, checksum, value, appended_bytes - octet_length(value) as before,
           first_value(appended_bytes - octet_length(value)) over (order by "offset") as beginning,
           appended_bytes, row_number() over (order by "offset") as nth
    from record where topic_id = p.topic_id and partition = p.partition and "offset" >= $3::bigint
    order by "offset" limit greatest($4::bigint, 1)
  ) as page where nth = 1 or appended_bytes - beginning <= $5::double precision
) as r on $3::bigint >= p.start_offset
where t.name = $1 and p.partition = $2
order by r."offset"`

const mostRecords = 100_000

/** Reads visible records, all of one moment. */
export async function readRecords(
  database: Database,
  at: Place,
  from: Offset,
  limits: ReadLimits,
): Promise<Batch> {
  const count = Math.min(limits.records, mostRecords)
  const values = [at.topic, at.partition, from, Math.ceil(count), limits.bytes]
  const rows = await database.read('read', readText, values)
  const [first] = rows
  if (first === undefined) throw topicUnknown(at.topic)
  const start = Number(first.start_offset)
  if (from < start) throw offsetTrimmed(at, from, start)
  const records: StoredRecord[] = []
  for (const row of rows) {
    if (row.offset === null) break
    const record = toRecord(row)
    if (record === undefined) break
    records.push(record)
  }
  if (records.length === 0 && first.offset !== null) throw recordCorrupt(at, Number(first.offset))
  const last = records.at(-1)
  return { records, next: last === undefined ? Math.max(from, Number(first.end_offset)) : last.offset + 1 }
}

function toRecord(row: Row): StoredRecord | undefined {
  const value = row.value as Buffer
  if (checksumOf(value) !== Number(row.checksum)) return undefined
  return { offset: Number(row.offset), timeMs: Number(row.time_ms), value: new Uint8Array(value) }
}

/**
 * Finds the smallest offset of a place for which a condition on its record `r` holds, by halving: the condition must not hold for
 * records before one for which it does. Offsets may skip, so a half is judged by its first record. `$3` is what it compares with.
 */
function halving(condition: string): string {
  const middle = '(f.low + f.high) / 2'
  const isBelow = `r."offset" is null or r."offset" >= f.high or ${condition}`
  return `with recursive found (topic_id, partition, low, high, beyond) as (
    select p.topic_id, p.partition, p.start_offset, p.end_offset, p.end_offset
    from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2
    union all
    select f.topic_id, f.partition, case when ${isBelow} then f.low else r."offset" + 1 end,
           case when ${isBelow} then ${middle} else f.high end, f.beyond
    from found f left join lateral (
      select * from record where topic_id = f.topic_id and partition = f.partition and "offset" >= ${middle}
      order by "offset" limit 1
    ) as r on true
    where f.low < f.high
  ) select coalesce((
      select r."offset" from record r where r.topic_id = f.topic_id and r.partition = f.partition and r."offset" >= f.low
      order by r."offset" limit 1
    ), f.beyond) as low
    from found f where f.low >= f.high`
}

const byTime = halving('r.time_ms >= $3::double precision')
/** Of records that were appended after so many bytes. */
const bySize = halving('r.appended_bytes - octet_length(r.value) >= $3::double precision')

/** The smallest offset of at least a time. */
export async function findByTime(database: Database, at: Place, timeMs: number): Promise<Offset> {
  const [row] = await database.read('by-time', byTime, [at.topic, at.partition, timeMs])
  if (row === undefined) throw topicUnknown(at.topic)
  return Number(row.low)
}

const removedAtOnce = 5000

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
    const [row] = await database.read('by-size', bySize, [at.topic, at.partition, beyond])
    targets.push(Number(row?.low ?? 0))
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
  const [beyond] = await connection.rows(
    `select "offset" from record where topic_id = $1 and partition = $2 and "offset" < $3
     order by "offset" offset $4 limit 1`,
    [place.topic_id, partition, allowed, removedAtOnce],
  )
  const to = beyond === undefined ? allowed : Number(beyond.offset)
  await connection.query(
    `with gone as (
       delete from record where topic_id = $1 and partition = $2 and "offset" < $3 returning octet_length(value) as bytes
     )
     update place set start_offset = $3, trimmed_bytes = trimmed_bytes + (select coalesce(sum(bytes), 0) from gone)
     where topic_id = $1 and partition = $2`,
    [place.topic_id, partition, to],
  )
  return { start: to, goesOn: to < allowed }
}
