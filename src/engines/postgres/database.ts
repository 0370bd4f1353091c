import type { Runtime } from '../../core/runtime.ts'
import { Connection, type Connector, type Row } from './connection.ts'
import { isConnectionLost, isPassing, toMillraceError } from './failures.ts'

const firstWaitMs = 50
const longestWaitMs = 1000
/** About ten seconds. */
const attempts = 14
/** Reads touch little, so one that takes longer meets a connection of which only one side is left. */
const readTimeoutMs = 10_000
/** A transaction waits for a lock for ten seconds at most; see `Connection`. */
const changeTimeoutMs = 12_000

/**
 * Every statement finds its rows by an index, one by one. The server must not choose otherwise: what it plans while a table is
 * small it keeps for long after, and then reads a large one from its beginning for each row.
 */
const planning = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  // Costs look enormous where nothing else is left, which would have such a statement compiled.
  jit: 'off',
  // Planning a statement anew each time would take longer than it runs.
  plan_cache_mode: 'force_generic_plan',
} as const

/** A session that is opened when it is needed, and anew after it was lost. */
export class Link {
  readonly #connector: Connector
  readonly #answerTimeoutMs: number | undefined
  #connection: Promise<Connection> | undefined

  /** Where no answer comes within `answerTimeoutMs`, the session is taken for lost. */
  constructor(connector: Connector, answerTimeoutMs?: number) {
    this.#connector = connector
    this.#answerTimeoutMs = answerTimeoutMs
  }

  get(): Promise<Connection> {
    this.#connection ??= this.#open()
    return this.#connection
  }

  async #open(): Promise<Connection> {
    try {
      const parameters = { search_path: this.#connector.settings.schema, ...planning }
      const connection = await Connection.open(this.#connector, parameters, this.#answerTimeoutMs)
      connection.onLost(() => (this.#connection = undefined))
      return connection
    } catch (error) {
      this.#connection = undefined
      throw error
    }
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined)
    connection?.close()
  }
}

/** The sessions of one engine for everything but its writer and its listener, and how failures of theirs are overcome. */
export class Database {
  readonly where: string
  readonly runtime: Runtime
  /** Statements that read and are done when they are answered; they share one session. */
  readonly #reading: Link
  /** Transactions, one at a time. */
  readonly #changing: Link
  #lane: Promise<unknown> = Promise.resolve()

  constructor(connector: Connector, runtime: Runtime) {
    this.where = connector.settings.where
    this.runtime = runtime
    this.#reading = new Link(connector, readTimeoutMs)
    this.#changing = new Link(connector, changeTimeoutMs)
  }

  /** Reads; tries again while the server is away, within bounds. `name` must stand for one text. */
  async read(name: string, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#retry(async () => (await this.#reading.get()).rows(text, values, name), attempts)
  }

  /**
   * Runs `work` in a transaction and commits what it did. It may run again when the connection is lost, even if it was committed:
   * doing it twice must be fine.
   */
  transact<T>(work: (connection: Connection) => Promise<T>, most = attempts): Promise<T> {
    const done = this.#lane.then(() => this.#retry(() => this.#transact(work), most))
    this.#lane = done.catch(() => undefined)
    return done
  }

  async #transact<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#changing.get()
    await connection.query('begin')
    try {
      const answer = await work(connection)
      await connection.query('commit')
      return answer
    } catch (error) {
      if (!connection.isLost) await connection.query('rollback').catch(() => connection.close())
      throw error
    }
  }

  /** Tries until it succeeds, fails by its own fault, or the server stayed away for too long. */
  async #retry<T>(attempt: () => Promise<T>, most: number): Promise<T> {
    for (let left = most - 1, waitMs = firstWaitMs; ; left -= 1) {
      try {
        return await attempt()
      } catch (error) {
        if (left <= 0 || !(isConnectionLost(error) || isPassing(error)))
          throw toMillraceError(error, this.where)
      }
      await this.runtime.sleep(waitMs)
      waitMs = Math.min(2 * waitMs, longestWaitMs)
    }
  }

  async close(): Promise<void> {
    await this.#lane
    await Promise.all([this.#reading.close(), this.#changing.close()])
  }
}
