import type { Runtime } from '../../../core/runtime.ts'
import type { FeedBatch, TableFeed } from '../../../log/table-feed.ts'
import type { Connection } from '../connection.ts'
import type { CapturedChanges, CapturedPosition } from './captured-changes.ts'
import { nameOfSource } from './change-tables.ts'
import type { FollowedTable } from './followed-table.ts'

/** How often it is looked in case that a notification was lost after all. */
const safetyMs = 30_000

/** What a feed by triggers works with. */
export interface TriggerFeedTools {
  readonly connection: Connection
  readonly captured: CapturedChanges
  readonly schema: string
  readonly source: string
  readonly origin: string
  readonly runtime: Runtime
}

/** The changes that triggers capture. It waits for their notifications. */
export class TriggerFeed implements TableFeed {
  readonly origin: string
  readonly #tools: TriggerFeedTools
  #told = Promise.withResolvers<void>()

  private constructor(tools: TriggerFeedTools) {
    this.origin = tools.origin
    this.#tools = tools
    const { connection, source } = tools
    connection.onNotification((payload) => {
      if (payload === source) this.#told.resolve()
    })
    connection.onLost((error) => this.#told.reject(error))
    this.#told.promise.catch(() => undefined)
  }

  /** Opens it behind a position, whose changes are gone then. */
  static async open(tools: TriggerFeedTools, position: CapturedPosition | undefined): Promise<TriggerFeed> {
    const feed = new TriggerFeed(tools)
    await tools.connection.query(`listen "${tools.schema}"`)
    if (position !== undefined) await tools.captured.forget(position)
    return feed
  }

  async next(signal: AbortSignal): Promise<FeedBatch> {
    for (;;) {
      signal.throwIfAborted()
      this.#tools.connection.throwIfLost()
      this.#told = Promise.withResolvers()
      this.#told.promise.catch(() => undefined)
      const batch = await this.#tools.captured.take()
      if (batch !== undefined) return batch
      await this.#wait(signal)
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const late = this.#tools.runtime.sleep(safetyMs, AbortSignal.any([signal, ended.signal]))
    late.catch(() => undefined)
    await Promise.race([this.#told.promise, late]).finally(() => ended.abort())
  }

  kept(position: unknown): Promise<void> {
    return this.#tools.captured.forget(position as CapturedPosition)
  }

  async close(): Promise<void> {
    this.#tools.connection.close()
  }
}

/** Makes the triggers, and what is read before them. The transaction must be open. */
export async function createTriggers(
  connection: Connection,
  { schema, source, table, reads }: { schema: string; source: string; table: FollowedTable; reads: boolean },
): Promise<void> {
  const name = nameOfSource(schema, source)
  // Nobody changes a row between what is read and what is captured.
  await connection.query(`lock table ${table.name} in share row exclusive mode`)
  const argument = `'${source.replaceAll("'", "''")}'`
  await connection.query(`
    create trigger "${name}_row" after insert or update or delete on ${table.name}
      for each row execute function "${schema}".capture(${argument});
    create trigger "${name}_tell" after insert or update or delete or truncate on ${table.name}
      for each statement execute function "${schema}".tell(${argument});
    create trigger "${name}_truncate" before truncate on ${table.name}
      for each statement execute function "${schema}".capture_truncate(${argument});`)
  if (reads) await readRows(connection, { schema, source, table })
}

/** Captures the rows that are there. */
export async function readRows(
  connection: Connection,
  { schema, source, table }: { schema: string; source: string; table: FollowedTable },
): Promise<void> {
  await connection.query(
    `insert into "${schema}".change (source, kind, after) select $1, 'read', row_to_json(t)::text from ${table.name} t`,
    [source],
  )
}
