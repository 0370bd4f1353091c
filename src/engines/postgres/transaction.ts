import type { Appended } from '../../log/port.ts'
import { blocksOf, checksumOf } from './block.ts'
import { columns } from './columns.ts'
import type { Connection, Row } from './connection.ts'
import { boundReached } from './failures.ts'
import { encodeIds } from './id-block.ts'
import { bringsIds, type Identities } from './identities.ts'
import type { MovingEntries } from './outbox/moving-entries.ts'
import { type Ground, type Places, Plan, type PlannedPlace } from './plan.ts'
import type { Step } from './step.ts'

/** What the transactions of a writer have in common. */
export interface TransactionContext {
  readonly where: string
  readonly schema: string
  readonly writerId: string
  readonly channel: string
  readonly identities: Identities
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
  /** It holds. */
  committed(): void
}

/** What one transaction is to do. */
export interface Work {
  readonly steps: readonly Step[]
  /** Entries of the outbox, whose taking has begun the transaction. */
  readonly moving?: MovingEntries | undefined
}

/**
 * Locks what the steps are about, in an order that is the same in every process: claims, the log where ids are remembered, places.
 * Refuses the steps that must be refused, each by itself, and gives the rest as a transaction that only has to be written; undefined
 * where none is left.
 */
export async function prepare(
  connection: Connection,
  work: Work,
  batch: number,
  context: TransactionContext,
): Promise<Prepared | undefined> {
  const { moving } = work
  const { identities } = context
  const steps = moving === undefined ? work.steps : [...moving.steps, ...work.steps]
  const remembers = steps.some(bringsIds)
  const nowMs = context.now()
  if (remembers) await identities.catchUp(connection, nowMs)
  const answers = Promise.all([
    moving === undefined ? connection.query('begin') : undefined,
    lockClaims(connection, steps),
    remembers ? identities.lock(connection, nowMs) : 0,
    lockPlaces(connection, steps),
    readUsedBytes(connection, context),
  ])
  // While others may hold what is to be locked.
  const ids = identities.broughtBy(steps)
  const [, held, idCount, { places, topics }, usedBytes] = await answers
  if (remembers) await identities.see(connection, ids, topics)
  const plan = new Plan({ places, ids, checkRoom: roomChecker(usedBytes, context) })
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
  return {
    parts,
    grown: [...plan.grown],
    ids: plan.ids.length,
    commit: () => write(connection, { plan, idCount, nowMs, batch, moving }, context),
    committed: () => identities.added(plan.ids, nowMs),
  }
}

function roomChecker(usedBytes: number, { where, maxBytes }: TransactionContext): Ground['checkRoom'] {
  return (added, whose) => {
    // Handlers that drain a full log must be able to commit, so theirs is a quarter more.
    if (usedBytes + added > (whose === 'handlers' ? maxBytes * 1.25 : maxBytes)) {
      throw boundReached(where, maxBytes)
    }
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

async function lockPlaces(
  connection: Connection,
  steps: readonly Step[],
): Promise<{ readonly places: Places; readonly topics: ReadonlyMap<string, number> }> {
  const wanted = new Map<string, Set<number>>()
  const want = (topic: string, partition: number) => {
    const ofTopic = wanted.get(topic)
    if (ofTopic === undefined) wanted.set(topic, new Set([partition]))
    else ofTopic.add(partition)
  }
  for (const { entries, commit } of steps) {
    for (const { topic, partition } of entries) want(topic, partition)
    // Whoever trims a place holds it too, so none passes a need that is being told.
    if (commit !== undefined) for (const topic of Object.keys(commit.needs)) want(topic, commit.partition)
  }
  const places = new Map<string, Map<number, PlannedPlace>>()
  const topics = new Map<string, number>()
  if (wanted.size === 0) return { places, topics }
  const named = [...wanted].flatMap(([topic, partitions]) => [...partitions].map((each) => [topic, each]))
  const rows = await connection.rows(
    `select t.name, p.topic_id, p.partition, p.end_offset, p.appended_bytes, p.last_time_ms
     from unnest($1::text[], $2::integer[]) as w (name, partition)
     join topic t on t.name = w.name
     join place p on p.topic_id = t.id and p.partition = w.partition
     order by p.topic_id, p.partition for no key update of p`,
    columns(named, 2),
    'lock-places',
  )
  for (const row of rows) {
    const topic = String(row.name)
    const ofTopic = places.get(topic) ?? new Map<number, PlannedPlace>()
    places.set(topic, ofTopic.set(Number(row.partition), toPlace(row)))
    topics.set(topic, Number(row.topic_id))
  }
  return { places, topics }
}

function toPlace(row: Row): PlannedPlace {
  return {
    topicId: Number(row.topic_id),
    partition: Number(row.partition),
    endOffset: Number(row.end_offset),
    appendedBytes: Number(row.appended_bytes),
    lastTimeMs: Number(row.last_time_ms),
    records: [],
  }
}

async function readUsedBytes(connection: Connection, { maxBytes }: TransactionContext): Promise<number> {
  if (!Number.isFinite(maxBytes)) return 0
  const text = 'select coalesce(sum(appended_bytes - trimmed_bytes), 0)::double precision as bytes from place'
  const [row] = await connection.rows(text, [], 'used-bytes')
  return Number(row?.bytes ?? 0)
}

const writeText = `
with blocks as (
  insert into record_block (topic_id, partition, "offset", time_ms, appended_bytes, checksum, head, value)
  select topic_id, partition, "offset", time_ms, appended_bytes, checksum,
    substring($1::bytea from first for head_size), substring($1::bytea from first + head_size for size)
  from unnest($2::integer[], $3::integer[], $4::bigint[], $5::double precision[], $6::bigint[], $7::bigint[],
              $8::integer[], $9::integer[], $10::integer[])
    as w (topic_id, partition, "offset", time_ms, appended_bytes, checksum, first, head_size, size)
), places as (
  update place p set end_offset = w.end_offset, appended_bytes = w.appended_bytes, last_time_ms = w.last_time_ms
  from unnest($11::integer[], $12::integer[], $13::bigint[], $14::bigint[], $15::double precision[])
    as w (topic_id, partition, end_offset, appended_bytes, last_time_ms)
  where p.topic_id = w.topic_id and p.partition = w.partition
), ids as (
  insert into id_block (sequence, at_ms, ids) select $16::bigint, $17::double precision, $18::bytea where $18::bytea <> ''
), id_count as (
  update log set id_count = $16::bigint where $18::bytea <> ''
), deleted as (
  delete from state s using unnest($19::integer[], $20::integer[], $21::bytea[]) as w (group_id, partition, key)
  where s.group_id = w.group_id and s.partition = w.partition and s.key = w.key
), put as (
  insert into state (group_id, partition, key, checksum, value)
  select group_id, partition, key, checksum, substring($22::bytea from first for size)
  from unnest($23::integer[], $24::integer[], $25::bytea[], $26::bigint[], $27::integer[], $28::integer[])
    as w (group_id, partition, key, checksum, first, size)
  on conflict (group_id, partition, key) do update set checksum = excluded.checksum, value = excluded.value
), needs as (
  insert into need (topic_id, partition, group_id, "offset")
  select * from unnest($29::integer[], $30::integer[], $31::integer[], $32::bigint[])
  on conflict (topic_id, partition, group_id) do update set "offset" = excluded."offset"
), mark as (
  insert into writer (id, batch) values ($34::text, $33::bigint)
  on conflict (id) do update set batch = excluded.batch, at = now()
)
select count(pg_notify($35::text, payload)) from unnest($36::text[]) as p (payload)`

/** What is to be written. */
interface Written {
  readonly plan: Plan
  /** How many ids there ever were before. */
  readonly idCount: number
  readonly nowMs: number
  readonly batch: number
  readonly moving: MovingEntries | undefined
}

async function write(
  connection: Connection,
  { plan, idCount, nowMs, batch, moving }: Written,
  context: TransactionContext,
): Promise<void> {
  const grown = [...plan.grown]
  const blocks = packedBlocks(grown)
  const values = [...plan.values.values()]
  const puts = packed(
    values.flatMap(({ of, key, value }) => (value === undefined ? [] : [{ of, key, value }])),
  )
  const deletes = values.filter(({ value }) => value === undefined)
  const parameters = [
    blocks.bytes,
    ...columns(blocks.rows, 9),
    ...columns(
      grown.map((place) => [
        ...[place.topicId, place.partition, place.endOffset, place.appendedBytes, place.lastTimeMs],
      ]),
      5,
    ),
    ...[idCount + plan.ids.length, nowMs, encodeIds(plan.ids)],
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

/** Puts the blocks of places behind one another, each its head and its values. */
function packedBlocks(places: readonly PlannedPlace[]) {
  const bytes: Uint8Array[] = []
  const rows: number[][] = []
  let first = 1
  for (const { topicId, partition, appendedBytes, records } of places) {
    const blocks = blocksOf(records)
    let appended = appendedBytes
    for (const block of blocks) appended -= block.bytes
    for (const { offset, timeMs, head, values, bytes: size } of blocks) {
      appended += size
      rows.push([topicId, partition, offset, timeMs, appended, checksumOf(head), first, head.length, size])
      bytes.push(head, ...values)
      first += head.length + size
    }
  }
  return { bytes: Buffer.concat(bytes), rows }
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
