import {
  type Client,
  type ClientOptions,
  type ClientResult,
  columnTypes,
  loadClient,
  type MakeClient,
} from './client.ts'
import { ConnectionLost, isConnectionLost } from './failures.ts'
import type { Settings } from './settings.ts'

/** A row, as {@link columnTypes} reads its columns. */
export type Row = ClientResult['rows'][number]

const connectTimeoutMs = 5000
const queryTimeoutMs = 30_000
/** A process that stops in the middle of a transaction holds others up for so long: its transactions wait for nothing but itself. */
const idleInTransactionMs = 2000
const lockTimeoutMs = 10_000

/** What connections are opened with. */
export interface Connector {
  readonly settings: Settings
  readonly makeClient: MakeClient
}

/** Loads the client library for a log. */
export async function connectorFor(settings: Settings): Promise<Connector> {
  return { settings, makeClient: await loadClient() }
}

/** One session of the server. Statements are sent at once and answered in order. Once it is lost it stays lost. */
export class Connection {
  readonly #client: Client
  #lost: Error | undefined
  readonly #whenLost: ((error: Error) => void)[] = []

  private constructor(client: Client) {
    this.#client = client
    client.on('error', (error) => this.#lose(error))
    client.on('end', () => this.#lose(new ConnectionLost('the server has closed the connection')))
  }

  /** Opens a connection; `settings` are parameters of the session, such as `synchronous_commit`. */
  static async open(
    { settings, makeClient }: Connector,
    parameters: Readonly<Record<string, string>> = {},
    answerTimeoutMs = queryTimeoutMs,
  ): Promise<Connection> {
    const connection = new Connection(makeClient(optionsFor(settings, answerTimeoutMs)))
    const wanted = {
      idle_in_transaction_session_timeout: String(idleInTransactionMs),
      lock_timeout: String(lockTimeoutMs),
      ...parameters,
    }
    try {
      await connection.#client.connect()
      await connection.query(
        'select set_config(name, value, false) from json_each_text($1::json) as p (name, value)',
        [JSON.stringify(wanted)],
      )
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** Throws {@link ConnectionLost} when it is lost. */
  throwIfLost(): void {
    if (this.#lost !== undefined) throw lostError(this.#lost)
  }

  /** Calls `listener` when the connection is lost or closed, at once if it is already. */
  onLost(listener: (error: Error) => void): void {
    if (this.#lost === undefined) this.#whenLost.push(listener)
    else listener(this.#lost)
  }

  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload = '' }) => listener(payload))
  }

  /** Rejects with {@link ConnectionLost} when the connection was lost, and with the server's own error otherwise. */
  async query(text: string, values: readonly unknown[] = [], name?: string): Promise<ClientResult> {
    if (this.#lost !== undefined) throw lostError(this.#lost)
    try {
      return await this.#client.query(name === undefined ? { text, values } : { text, values, name })
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      this.#lose(error instanceof Error ? error : new ConnectionLost(String(error)))
      this.close()
      throw lostError(error)
    }
  }

  async rows(text: string, values: readonly unknown[] = [], name?: string): Promise<readonly Row[]> {
    return (await this.query(text, values, name)).rows
  }

  /** Does not wait for the server. */
  close(): void {
    this.#lose(new ConnectionLost('the connection was closed'))
    this.#client.end().catch(() => undefined)
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    for (const listener of this.#whenLost.splice(0)) listener(error)
  }
}

function lostError(cause: unknown): ConnectionLost {
  if (cause instanceof ConnectionLost) return cause
  return new ConnectionLost(cause instanceof Error ? cause.message : String(cause), { cause })
}

function optionsFor({ connectionString, schema }: Settings, answerTimeoutMs: number): ClientOptions {
  return {
    connectionString,
    application_name: `millrace ${schema}`,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5000,
    pipeline: true,
    types: columnTypes,
  }
}
