import type { Runtime } from '../../core/runtime.ts'
import { importUnfinished, type LogExport, logUnknown, type Move, stillInUse } from '../../log/moving.ts'
import { Connection, type Connector, connectorFor } from './connection.ts'
import { PostgresContents } from './contents.ts'
import { Database } from './database.ts'
import { toMillraceError } from './failures.ts'
import { fence, readMarks, unfence } from './marks.ts'
import { goneText } from './presence.ts'
import { prepareSchema, readLog } from './schema.ts'
import { readSettings } from './settings.ts'

const leaseMs = 6000
const lookAgainMs = 100
const mostLooks = 30

/**
 * Opens the log in a PostgreSQL schema to be moved away. Besides what `LogExport` says, rejects as `openPostgres` does; never creates
 * anything.
 */
export async function exportPostgres(
  url: string,
  options: { readonly runtime: Runtime },
): Promise<LogExport> {
  const settings = readSettings(url)
  const connector = await connectorFor(settings)
  const { where } = settings
  try {
    const { partitions, mark } = await look(connector)
    const database = new Database(connector, options.runtime)
    try {
      await untilNobody(database)
      return new PostgresExport(database, partitions, mark)
    } catch (error) {
      await database.close()
      throw error
    }
  } catch (error) {
    throw toMillraceError(error, where)
  }
}

async function look(
  connector: Connector,
): Promise<{ readonly partitions: number; readonly mark: Move | undefined }> {
  const { schema, where } = connector.settings
  const connection = await Connection.open(connector, { search_path: schema })
  try {
    const found = await readLog(connection)
    if (found === undefined) throw logUnknown(where)
    const { from, to } = await readMarks(connection)
    if (from?.finished === false) throw importUnfinished(where, from)
    const { partitions } = await prepareSchema(connector, { ...found, whateverItsMarks: true })
    return { partitions, mark: to }
  } finally {
    connection.close()
  }
}

/**
 * Rejects with `LOG_IN_USE` while there are processes. One that was killed is no more once the server has noticed, which is given a
 * moment.
 */
async function untilNobody(database: Database): Promise<void> {
  const text = `select count(*) as present, count(a.pid) as connected
    from process p left join pg_stat_activity a on a.pid = p.session_pid
      and (a.backend_start is null or a.backend_start = p.session_start)
    where not ${goneText('$1')}`
  for (let looks = 1; ; looks += 1) {
    const [row] = await database.read('present', text, [leaseMs])
    const [present, connected] = [Number(row?.present), Number(row?.connected)]
    if (present === 0) return
    if (connected > 0 || looks >= mostLooks) {
      const processes = Math.max(connected, 1)
      const who = processes === 1 ? 'one process' : `${processes} processes`
      throw stillInUse(database.where, who, { processes })
    }
    await database.runtime.sleep(lookAgainMs)
  }
}

class PostgresExport extends PostgresContents implements LogExport {
  #mark: Move | undefined

  constructor(database: Database, partitions: number, mark: Move | undefined) {
    super(database, partitions)
    this.#mark = mark
  }

  get mark(): Move | undefined {
    return this.#mark
  }

  async setMark(mark: Move | undefined): Promise<void> {
    await this.database.transact(async (connection) => {
      if (mark === undefined) return unfence(connection)
      await fence(connection, mark)
      await checkOutbox(connection, this.database.where)
    })
    this.#mark = mark
  }
}

/** What others' transactions have published and nobody has taken into the log yet would stay behind. */
async function checkOutbox(connection: Connection, where: string): Promise<void> {
  const [found] = await connection.rows("select to_regclass('outbox') is not null as present")
  if (found?.present !== true) return
  const [row] = await connection.rows('select count(*) as waiting from outbox')
  const waiting = Number(row?.waiting)
  if (waiting === 0) return
  throw stillInUse(where, `transactions, of which ${waiting} events wait to be taken into it`, { waiting })
}
