import type { Appended } from '../../log/port.ts'
import { arrayOf, columns } from './columns.ts'
import type { Connection, Row } from './connection.ts'
import { boundReached } from './failures.ts'
import type { MovingEntries } from './outbox/moving-entries.ts'
import {
  checksumOf,
  type Ground,
  hashBytes,
  hashOfId,
  Plan,
  type PlannedPlace,
  placeName,
  type Sighting,
  sightingName,
} from './plan.ts'
import type { Step } from './step.ts'

/** What the transactions of a writer have in common. */
export interface TransactionContext {
  readonly where: string
  readonly schema: string
  readonly writerId: string
  readonly channel: string
  readonly windowMs: number
  readonly maxIds: number
  readonly maxBytes: number
  now(): number
}

/** A transaction whose statements are answered, except for the last two. */
export interface Prepared {
  /** The steps that are part of it, with what they are to be told. */
  readonly parts: readonly { readonly step: Step; readonly appended: readonly Appended[] }[]
  /** Where each place ends that has grown. */
  readonly grown: readonly PlannedPlace[]
  /** How many ids are remembered by it. */
  readonly ids: number
  /** Writes and commits. */
  commit(): Promise<void>
}

/** What one transaction is to do. */
export interface Work {
  readonly steps: readonly Step[]
  /** Entries of the outbox, whose taking has begun the transaction. */
  readonly moving?: MovingEntries | undefined
}

/**
 * Locks what the steps are about, in an order that is the same in every process: claims, topics, places. Refuses the steps that must
 * be refused, each by itself, and gives the rest as a transaction that only has to be written; undefined where none is left.
 */
export async function prepare(
  connection: Connection,
  work: Work,
  batch: number,
  context: TransactionContext,
): Promise<Prepared | undefined> {
  const { moving } = work
  const steps = moving === undefined ? work.steps : [...moving.steps, ...work.steps]
  const hashes = new Map<string, Buffer>()
  const [, held, , places, sightings, usedBytes] = await Promise.all([
    moving === undefined ? connection.query('begin') : undefined,
    lockClaims(connection, steps),
    lockTopics(connection, steps),
    lockPlaces(connection, steps),
    findIds(connection, steps, hashes, context),
    readUsedBytes(connection, context),
  ])
  const ground: Ground = {
    places,
    sightings,
    hashes,
    checkRoom: (added, whose) => {
      // Handlers that drain a full log must be able to commit, so theirs is a quarter more.
      const bound = whose === 'handlers' ? context.maxBytes * 1.25 : context.maxBytes
      if (usedBytes + added > bound) throw boundReached(context.where, context.maxBytes)
    },
  }
  const plan = new Plan(ground)
  const parts: { step: Step; appended: readonly Appended[] }[] = []
  for (const step of steps) {
    try {
      checkStep(step, held)
      parts.push({ step, appended: plan.add(step.entries, step.commit) })
    } catch (error) {
      step.reject(error)
    }
  }
  if (parts.length === 0 && moving?.changes !== true) {
    await connection.query('rollback')
    return undefined
  }
  const grown = [...new Set(plan.records.map(({ place }) => place))]
  return {
    parts,
    grown,
    ids: plan.identities.size,
    commit: () => write(connection, { plan, grown, batch, moving }, context),
  }
}

function checkStep({ signal, commit }: Step, held: ReadonlyMap<string, number>): void {
  signal?.throwIfAborted()
  if (commit === undefined) return
  commit.checkHeld()
  if (held.get(`${commit.groupId}/${commit.partition}`) !== commit.epoch) throw commit.notHeld()
}

async function lockClaims(connection: Connection, steps: readonly Step[]): Promise<Map<string, number>> {
  const wanted = new Map<string, readonly [number, number]>()
  for (const { commit } of steps) {
    if (commit !== undefined) {
      wanted.set(`${commit.groupId}/${commit.partition}`, [commit.groupId, commit.partition])
    }
  }
  if (wanted.size === 0) return new Map()
  const rows = await connection.rows(
    `select c.group_id, c.partition, c.epoch
     from unnest($1::integer[], $2::integer[]) as w (group_id, partition)
     join claim c on c.group_id = w.group_id and c.partition = w.partition
     order by c.group_id, c.partition for share of c`,
    columns([...wanted.values()], 2),
    'lock-claims',
  )
  return new Map(rows.map((row) => [`${row.group_id}/${row.partition}`, Number(row.epoch)]))
}

/** Of those who remember ids of a topic there is one at a time, so no two store the same id at once. */
async function lockTopics(connection: Connection, steps: readonly Step[]): Promise<void> {
  const names = new Set<string>()
  for (const { entries } of steps) {
    for (const { topic, deduplicationId } of entries) if (deduplicationId !== undefined) names.add(topic)
  }
  if (names.size === 0) return
  const text = 'select id from topic where name = any ($1::text[]) order by id for no key update'
  await connection.query(text, [[...names]], 'lock-topics')
}

async function lockPlaces(
  connection: Connection,
  steps: readonly Step[],
): Promise<Map<string, PlannedPlace>> {
  const wanted = new Map<string, readonly [string, number]>()
  const want = (topic: string, partition: number) =>
    wanted.set(placeName(topic, partition), [topic, partition])
  for (const { entries, commit } of steps) {
    for (const { topic, partition } of entries) want(topic, partition)
    // Whoever trims a place holds it too, so none passes a need that is being told.
    if (commit !== undefined) for (const topic of Object.keys(commit.needs)) want(topic, commit.partition)
  }
  if (wanted.size === 0) return new Map()
  const rows = await connection.rows(
    `select t.name, p.topic_id, p.partition, p.end_offset, p.appended_bytes, p.last_time_ms
     from unnest($1::text[], $2::integer[]) as w (name, partition)
     join topic t on t.name = w.name
     join place p on p.topic_id = t.id and p.partition = w.partition
     order by p.topic_id, p.partition for no key update of p`,
    columns([...wanted.values()], 2),
    'lock-places',
  )
  return new Map(rows.map((row) => [placeName(String(row.name), Number(row.partition)), toPlace(row)]))
}

function toPlace(row: Row): PlannedPlace {
  return {
    topicId: Number(row.topic_id),
    partition: Number(row.partition),
    endOffset: Number(row.end_offset),
    appendedBytes: Number(row.appended_bytes),
    lastTimeMs: Number(row.last_time_ms),
  }
}

/** Finds the ids of the steps that were stored before; puts what each is stored as into `hashes`. */
async function findIds(
  connection: Connection,
  steps: readonly Step[],
  hashes: Map<string, Buffer>,
  { windowMs, maxIds, now }: TransactionContext,
): Promise<Map<string, Sighting>> {
  const names: string[] = []
  const topics: number[] = []
  const wanted: Buffer[] = []
  const known = new Map<string, Set<string>>()
  for (const { entries } of steps) {
    for (const { topic, deduplicationId: id } of entries) {
      if (id === undefined) continue
      const ofTopic = known.get(topic) ?? new Set()
      if (ofTopic.has(id)) continue
      if (ofTopic.size === 0) names.push(topic)
      known.set(topic, ofTopic.add(id))
      const hashed = hashes.get(id) ?? hashOfId(id)
      hashes.set(id, hashed)
      topics.push(names.indexOf(topic) + 1)
      wanted.push(hashed)
    }
  }
  if (wanted.length === 0) return new Map()
  const rows = await connection.rows(
    `select i.topic_id, i.id, i.partition, i."offset", r.checksum, r.value
     from (
       select ($2::text[])[topic] as name, substring($3::bytea from (nth::integer - 1) * ${hashBytes} + 1 for ${hashBytes}) as id
       from unnest($1::integer[]) with ordinality as u (topic, nth)
     ) as w
     join topic t on t.name = w.name
     -- By nothing but its id, because the index by sequence would find all of them each time.
     cross join lateral (select * from identity where topic_id = t.id and id = w.id limit 1) as i
     left join record r on r.topic_id = i.topic_id and r.partition = i.partition and r."offset" = i."offset"
     where i.sequence > (select last_value from identity_sequence) - $4::bigint
       and i.at_ms + $5::double precision > $6::double precision`,
    [arrayOf(topics), names, Buffer.concat(wanted), maxIds, windowMs, now()],
    'find-ids',
  )
  return new Map(rows.map((row) => [sightingName(Number(row.topic_id), row.id as Buffer), toSighting(row)]))
}

function toSighting(row: Row): Sighting {
  const value = row.value as Buffer | null
  const readable = value !== null && checksumOf(value) === Number(row.checksum)
  return {
    partition: Number(row.partition),
    offset: Number(row.offset),
    value: readable ? value : undefined,
  }
}

async function readUsedBytes(connection: Connection, { maxBytes }: TransactionContext): Promise<number> {
  if (!Number.isFinite(maxBytes)) return 0
  const text = 'select coalesce(sum(appended_bytes - trimmed_bytes), 0)::double precision as bytes from place'
  const [row] = await connection.rows(text, [], 'used-bytes')
  return Number(row?.bytes ?? 0)
}

const writeText = `
with records as (
  insert into record (topic_id, partition, "offset", time_ms, appended_bytes, checksum, value)
  select topic_id, partition, "offset", time_ms, appended_bytes, checksum, substring($1::bytea from first for size)
  from unnest($2::integer[], $3::integer[], $4::bigint[], $5::double precision[], $6::bigint[], $7::bigint[],
              $8::integer[], $9::integer[])
    as w (topic_id, partition, "offset", time_ms, appended_bytes, checksum, first, size)
), places as (
  update place p set end_offset = w.end_offset, appended_bytes = w.appended_bytes, last_time_ms = w.last_time_ms
  from unnest($10::integer[], $11::integer[], $12::bigint[], $13::bigint[], $14::double precision[])
    as w (topic_id, partition, end_offset, appended_bytes, last_time_ms)
  where p.topic_id = w.topic_id and p.partition = w.partition
), identities as (
  insert into identity (topic_id, id, partition, "offset", at_ms, sequence)
  select topic_id, substring($16::bytea from (nth::integer - 1) * ${hashBytes} + 1 for ${hashBytes}), partition, "offset",
    $19::double precision, nextval('identity_sequence')
  from unnest($15::integer[], $17::integer[], $18::bigint[]) with ordinality as w (topic_id, partition, "offset", nth)
  on conflict (topic_id, id) do update set partition = excluded.partition, "offset" = excluded."offset",
    at_ms = excluded.at_ms, sequence = excluded.sequence
), deleted as (
  delete from state s using unnest($20::integer[], $21::integer[], $22::bytea[]) as w (group_id, partition, key)
  where s.group_id = w.group_id and s.partition = w.partition and s.key = w.key
), put as (
  insert into state (group_id, partition, key, checksum, value)
  select group_id, partition, key, checksum, substring($23::bytea from first for size)
  from unnest($24::integer[], $25::integer[], $26::bytea[], $27::bigint[], $28::integer[], $29::integer[])
    as w (group_id, partition, key, checksum, first, size)
  on conflict (group_id, partition, key) do update set checksum = excluded.checksum, value = excluded.value
), needs as (
  insert into need (topic_id, partition, group_id, "offset")
  select * from unnest($30::integer[], $31::integer[], $32::integer[], $33::bigint[])
  on conflict (topic_id, partition, group_id) do update set "offset" = excluded."offset"
), mark as (
  insert into writer (id, batch) values ($35::text, $34::bigint)
  on conflict (id) do update set batch = excluded.batch, at = now()
)
select count(pg_notify($36::text, payload)) from unnest($37::text[]) as p (payload)`

/** What is to be written. */
interface Written {
  readonly plan: Plan
  readonly grown: readonly PlannedPlace[]
  readonly batch: number
  readonly moving: MovingEntries | undefined
}

async function write(
  connection: Connection,
  { plan, grown, batch, moving }: Written,
  context: TransactionContext,
): Promise<void> {
  const records = packed(plan.records)
  const values = [...plan.values.values()]
  const puts = packed(
    values.flatMap(({ of, key, value }) => (value === undefined ? [] : [{ of, key, value }])),
  )
  const identities = [...plan.identities.values()]
  const deletes = values.filter(({ value }) => value === undefined)
  const parameters = [
    records.bytes,
    arrayOf(records.parts.map(({ part }) => part.place.topicId)),
    arrayOf(records.parts.map(({ part }) => part.place.partition)),
    arrayOf(records.parts.map(({ part }) => part.offset)),
    arrayOf(records.parts.map(({ part }) => part.timeMs)),
    arrayOf(records.parts.map(({ part }) => part.appendedBytes)),
    arrayOf(records.parts.map(({ part }) => part.checksum)),
    arrayOf(records.parts.map(({ first }) => first)),
    arrayOf(records.parts.map(({ size }) => size)),
    ...columns(
      grown.map((place) => [
        ...[place.topicId, place.partition, place.endOffset, place.appendedBytes, place.lastTimeMs],
      ]),
      5,
    ),
    arrayOf(identities.map(({ topicId }) => topicId)),
    Buffer.concat(identities.map(({ id }) => id)),
    arrayOf(identities.map(({ partition }) => partition)),
    arrayOf(identities.map(({ offset }) => offset)),
    context.now(),
    ...columns(
      deletes.map(({ of, key }) => [of.groupId, of.partition, key]),
      3,
    ),
    puts.bytes,
    ...columns(
      puts.parts.map(({ part: { of, key, value }, first, size }) => [
        ...[of.groupId, of.partition, key, checksumOf(value), first, size],
      ]),
      6,
    ),
    ...columns(
      [...plan.needs.values()].map(({ of, place, offset }) => [
        place.topicId,
        of.partition,
        of.groupId,
        offset,
      ]),
      4,
    ),
    batch,
    context.writerId,
    context.channel,
    newsOf(grown),
  ]
  // The commit is on its way with what it commits: where that fails, it has nothing left to commit.
  const [, , { command }] = await Promise.all([
    connection.query(writeText, parameters, 'write'),
    moving?.finish(connection),
    connection.query('commit'),
  ])
  if (command !== 'COMMIT') throw new Error(`the commit ended in ${command}`)
}

/** Puts values behind one another, since bytes of one parameter are sent as they are and those of an array as text. */
function packed<Part extends { readonly value: Uint8Array }>(parts: readonly Part[]) {
  let next = 1
  const placed = parts.map((part) => {
    const first = next
    next += part.value.length
    return { part, first, size: part.value.length }
  })
  return { bytes: Buffer.concat(parts.map(({ value }) => value)), parts: placed }
}

/** A notification has less than 8,000 bytes; places that do not fit are looked up by whoever is told. */
const mostPlacesTold = 200

function newsOf(grown: readonly PlannedPlace[]): string[] {
  if (grown.length === 0) return []
  if (grown.length > mostPlacesTold) return ['places']
  return [
    `grown ${grown.map(({ topicId, partition, endOffset }) => `${topicId}.${partition}.${endOffset}`).join(' ')}`,
  ]
}
