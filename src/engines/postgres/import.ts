import type { Runtime } from '../../core/runtime.ts'
import {
  type ClaimContents,
  type ClaimName,
  type KnownId,
  type LogImport,
  logOccupied,
  type Move,
  type PlaceEnds,
  type PlaceReached,
  stillInUse,
} from '../../log/moving.ts'
import type { KeyValue, Offset, Place, StoredRecord, Topic } from '../../log/port.ts'
import { blocksOf, checksumOf } from './block.ts'
import { columns } from './columns.ts'
import { Connection, type Connector, connectorFor } from './connection.ts'
import { PostgresContents } from './contents.ts'
import { Database } from './database.ts'
import { toMillraceError, topicUnknown, unreachable } from './failures.ts'
import { encodeIds, idBytes } from './id-block.ts'
import { fingerprintOf } from './identities.ts'
import { note, readMarks } from './marks.ts'
import { checkSessions } from './presence.ts'
import { dropLog, prepareSchema, readLog } from './schema.ts'
import { readSettings } from './settings.ts'
import { createTopic } from './topics.ts'

/**
 * Opens a PostgreSQL schema that a log is to be moved into. Rejects as `openPostgres` does, and with `LOG_IN_USE` while another
 * process imports into it.
 */
export async function importPostgres(
  url: string,
  options: { readonly runtime: Runtime },
): Promise<LogImport> {
  const settings = readSettings(url)
  const connector = await connectorFor(settings)
  try {
    await checkSessions(connector, options.runtime)
    const lock = await takeLock(connector, options.runtime)
    try {
      return new PostgresImport(connector, lock, await look(lock), options.runtime)
    } catch (error) {
      lock.close()
      throw error
    }
  } catch (error) {
    throw toMillraceError(error, settings.where)
  }
}

const lookAgainMs = 50
const mostLooks = 40

/**
 * A session that keeps others from importing into the same schema for as long as it lasts. That of a process that was killed lasts
 * until the server has noticed, which is given a moment.
 */
async function takeLock(connector: Connector, runtime: Runtime): Promise<Connection> {
  const { schema, where } = connector.settings
  const connection = await Connection.open(connector, { search_path: schema })
  const text = 'select pg_try_advisory_lock(hashtextextended($1, 8)) as taken'
  for (let looks = 1; ; looks += 1) {
    const [row] = await connection.rows(text, [`millrace ${schema}`])
    if (row?.taken === true) return connection
    if (looks >= mostLooks) break
    await runtime.sleep(lookAgainMs)
  }
  connection.close()
  throw stillInUse(where, 'another migration', {})
}

interface Found {
  readonly partitions: number | undefined
  readonly origin: Move | undefined
}

async function look(connection: Connection): Promise<Found> {
  const log = await readLog(connection)
  const { from } = await readMarks(connection)
  return { partitions: log?.partitions, origin: from }
}

const addRecordsText = `insert into record_block (topic_id, partition, "offset", time_ms, appended_bytes, checksum, head, value)
  select $1, $2, "offset", time_ms, appended_bytes, checksum,
    substring($3::bytea from first for head_size), substring($3::bytea from first + head_size for size)
  from unnest($4::bigint[], $5::double precision[], $6::bigint[], $7::bigint[], $8::integer[], $9::integer[], $10::integer[])
    as w ("offset", time_ms, appended_bytes, checksum, first, head_size, size)`

const addStateText = `insert into state (group_id, partition, key, checksum, value)
  select $1, $2, key, checksum, substring($3::bytea from first for size)
  from unnest($4::bytea[], $5::bigint[], $6::integer[], $7::integer[]) as w (key, checksum, first, size)
  on conflict (group_id, partition, key) do update set checksum = excluded.checksum, value = excluded.value`

const countIdsText = 'update log set id_count = id_count + $1 returning id_count'
const addIdsText = `insert into id_batch (sequence, at_ms, ids)
  select sequence, at_ms, substring($1::bytea from first for size)
  from unnest($2::bigint[], $3::double precision[], $4::integer[], $5::integer[]) as w (sequence, at_ms, first, size)`

const placeText = `select p.topic_id, p.end_offset, p.appended_bytes, p.last_time_ms
  from topic t join place p on p.topic_id = t.id where t.name = $1 and p.partition = $2`

/** Every method is a transaction that may be done twice: what it finds done already it leaves as it is. */
class PostgresImport extends PostgresContents implements LogImport {
  readonly found: LogImport['found']
  readonly #connector: Connector
  readonly #lock: Connection
  #origin: Move | undefined

  constructor(connector: Connector, lock: Connection, { partitions, origin }: Found, runtime: Runtime) {
    super(new Database(connector, runtime), partitions)
    this.#connector = connector
    this.#lock = lock
    this.#origin = origin
    if (partitions === undefined) this.found = 'nothing'
    else this.found = origin?.finished === false ? 'import' : 'log'
  }

  get origin(): Move | undefined {
    return this.#origin
  }

  async begin(origin: Move, partitions: number): Promise<void> {
    const { where } = this.database
    const goesOn = this.found === 'import' && this.#origin?.id === origin.id && this.partitions === partitions
    if (!goesOn && this.found !== 'nothing') throw logOccupied(where)
    const how = goesOn ? { whateverItsMarks: true as const } : { making: origin }
    try {
      await prepareSchema(this.#connector, { partitions, ...how })
    } catch (error) {
      throw toMillraceError(error, where)
    }
    this.setPartitions(partitions)
    this.#origin = origin
  }

  async createTopic(topic: Topic): Promise<void> {
    const { schema } = this.#connector.settings
    this.#checkLock()
    await createTopic(this.database, topic, this.partitions, `millrace_${schema}`)
  }

  async reached(at: Place): Promise<PlaceReached> {
    const [{ end }, ended] = await Promise.all([this.ends(at), this.#isNoted(nameOfPlace(at))])
    return { next: end, ended }
  }

  async addRecords(at: Place, records: readonly StoredRecord[]): Promise<void> {
    await this.#transact(async (connection) => {
      const [place] = await connection.rows(`${placeText} for no key update of p`, [at.topic, at.partition])
      if (place === undefined) throw topicUnknown(at.topic)
      const added = records.filter(({ offset }) => offset >= Number(place.end_offset))
      const last = added.at(-1)
      if (last === undefined) return
      let appendedBytes = Number(place.appended_bytes)
      let first = 1
      const blocks = blocksOf(added)
      const rows = blocks.map(({ offset, timeMs, head, bytes: size }) => {
        appendedBytes += size
        const row = [offset, timeMs, appendedBytes, checksumOf(head), first, head.length, size]
        first += head.length + size
        return row
      })
      const bytes = Buffer.concat(blocks.flatMap(({ head, values }) => [head, ...values]))
      await connection.query(
        addRecordsText,
        [place.topic_id, at.partition, bytes, ...columns(rows, 7)],
        'add-records',
      )
      await connection.query(
        'update place set end_offset = $3, appended_bytes = $4, last_time_ms = $5 where topic_id = $1 and partition = $2',
        [place.topic_id, at.partition, last.offset + 1, appendedBytes, last.timeMs],
      )
    })
  }

  async endPlace(at: Place, { start, end, lastTimeMs }: PlaceEnds): Promise<void> {
    await this.#transact(async (connection) => {
      await connection.query(
        `update place p set start_offset = $3, end_offset = $4, last_time_ms = $5 from topic t
         where t.id = p.topic_id and t.name = $1 and p.partition = $2`,
        [at.topic, at.partition, start, end, lastTimeMs],
      )
      await note(connection, nameOfPlace(at), true)
    })
  }

  hasClaim(of: ClaimName): Promise<boolean> {
    return this.#isNoted(nameOfClaim(of))
  }

  async addClaim(
    of: ClaimName,
    contents: ClaimContents,
    state: AsyncIterable<readonly KeyValue[]>,
  ): Promise<void> {
    const { partition } = of
    const groupId = await this.#transact((connection) => emptyClaim(connection, of))
    for await (const portion of state) {
      if (portion.length > 0) await this.#transact((each) => addState(each, { groupId, partition }, portion))
    }
    await this.#transact(async (connection) => {
      await connection.query(
        `insert into claim (group_id, partition, epoch) values ($1, $2, $3)
         on conflict (group_id, partition) do update set epoch = excluded.epoch`,
        [groupId, partition, contents.epoch],
      )
      const needs: readonly (readonly [string, Offset])[] = Object.entries(contents.needs)
      await connection.query(
        `insert into need (topic_id, partition, group_id, "offset")
         select t.id, $1, $2, w."offset" from unnest($3::text[], $4::bigint[]) as w (name, "offset") join topic t on t.name = w.name
         on conflict (topic_id, partition, group_id) do update set "offset" = excluded."offset"`,
        [partition, groupId, ...columns(needs, 2)],
      )
      await note(connection, nameOfClaim(of), true)
    })
  }

  async idsReached(): Promise<number> {
    const [row] = await this.database.read('ids-reached', "select value from move where name = 'ids'", [])
    return Number(row?.value ?? 0)
  }

  async addIds(ids: readonly KnownId[], next: number): Promise<void> {
    await this.#transact(async (connection) => {
      if (ids.length > 0) await addIds(connection, ids)
      await note(connection, 'ids', next)
    })
  }

  async finish(): Promise<void> {
    await this.#transact(async (connection) => {
      await connection.query("delete from move where name <> 'from'")
      await note(connection, 'from', { ...this.#origin, finished: true })
    })
    // Nobody has looked at how many rows there are; plans for a few would be slow for many.
    await this.database.transact(async (connection) => {
      for (const table of ['record_block', 'state', 'id_batch']) await connection.query(`analyze ${table}`)
    })
  }

  async drop(): Promise<void> {
    if (this.found === 'log') throw logOccupied(this.database.where)
    if (this.#origin === undefined) return
    await this.#transact((connection) => dropLog(connection, this.#connector))
  }

  override async close(): Promise<void> {
    await super.close()
    if (!this.#lock.isLost) await this.#lock.query('select pg_advisory_unlock_all()').catch(() => undefined)
    this.#lock.close()
  }

  async #isNoted(name: string): Promise<boolean> {
    return (await this.database.read('noted', 'select 1 from move where name = $1', [name])).length > 0
  }

  async #transact<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    this.#checkLock()
    return await this.database.transact(work)
  }

  /** A process that has lost its lock must not go on: another one may have taken it. */
  #checkLock(): void {
    if (!this.#lock.isLost) return
    throw unreachable(this.database.where, new Error('the session that keeps other migrations away was lost'))
  }
}

/** Ids that were remembered at the same time become one row, in their order. */
async function addIds(connection: Connection, ids: readonly KnownId[]): Promise<void> {
  const topics = new Map(
    (await connection.rows('select id, name from topic')).map(({ id, name }) => [String(name), Number(id)]),
  )
  const [log] = await connection.rows('select id_key from log')
  const [counted] = await connection.rows(countIdsText, [ids.length])
  const stored = ids.map(({ topic, deduplicationId, partition, offset }) => {
    const { high, low } = fingerprintOf(String(log?.id_key), deduplicationId)
    return { high, low, topicId: topics.get(topic) ?? 0, partition, offset }
  })
  const before = Number(counted?.id_count) - ids.length
  const rows: number[][] = []
  let from = 0
  for (let to = 1; to <= ids.length; to += 1) {
    if (ids[to]?.timeMs === ids[from]?.timeMs) continue
    rows.push([before + to, ids[from]?.timeMs ?? 0, from * idBytes + 1, (to - from) * idBytes])
    from = to
  }
  await connection.query(addIdsText, [encodeIds(stored), ...columns(rows, 4)], 'add-ids')
}

/** Makes the row of a claim's group, and removes what an earlier attempt has left of the claim. */
async function emptyClaim(connection: Connection, { group, partition }: ClaimName): Promise<number> {
  const insert = 'insert into consumer_group (name) values ($1) on conflict (name) do nothing'
  await connection.query(insert, [group])
  const [row] = await connection.rows('select id from consumer_group where name = $1', [group])
  const groupId = Number(row?.id)
  await connection.query('delete from state where group_id = $1 and partition = $2', [groupId, partition])
  return groupId
}

async function addState(
  connection: Connection,
  { groupId, partition }: { readonly groupId: number; readonly partition: number },
  portion: readonly KeyValue[],
): Promise<void> {
  let first = 1
  const rows = portion.map(({ key, value }) => {
    const row = [Buffer.from(key), checksumOf(value), first, value.length]
    first += value.length
    return row
  })
  const bytes = Buffer.concat(portion.map(({ value }) => value))
  await connection.query(addStateText, [groupId, partition, bytes, ...columns(rows, 4)], 'add-state')
}

function nameOfPlace({ topic, partition }: Place): string {
  return `place ${partition}/${topic}`
}

function nameOfClaim({ group, partition }: ClaimName): string {
  return `claim ${partition}/${group}`
}
