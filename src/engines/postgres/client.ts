import { MillraceError } from '../../core/errors.ts'

/** The part of the client library that the engine uses, so that none of its types is needed to compile against Millrace. */
export interface Client {
  connect(): Promise<unknown>
  query(query: ClientQuery): Promise<ClientResult>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(event: 'notification', listener: (message: { readonly payload?: string | undefined }) => void): unknown
}

/** One statement. A named one is planned once for each connection. */
export interface ClientQuery {
  readonly text: string
  readonly values: readonly unknown[]
  readonly name?: string
}

/** What a statement gave. */
export interface ClientResult {
  /** The tag of the command, such as `COMMIT`, or `ROLLBACK` where a commit had nothing left to commit. */
  readonly command: string
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/** What a connection is made of. */
export interface ClientOptions {
  readonly connectionString: string
  readonly application_name: string
  readonly connectionTimeoutMillis: number
  readonly query_timeout: number
  readonly keepAlive: boolean
  readonly keepAliveInitialDelayMillis: number
  /** Sends statements without waiting for the answers of those before. */
  readonly pipeline: boolean
  readonly types: { getTypeParser(oid: number): (text: string) => unknown }
}

/** Makes a connection that is not open yet. */
export type MakeClient = (options: ClientOptions) => Client

/** Loads the client library. `ENGINE_CLIENT_MISSING` when it is not installed. */
export async function loadClient(): Promise<MakeClient> {
  let library: { readonly default: { readonly Client: unknown } }
  try {
    library = await import('pg')
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MillraceError(
      'ENGINE_CLIENT_MISSING',
      "The client library of PostgreSQL, 'pg', is not installed.",
      {
        where: 'pg',
        fix: 'Install it beside Millrace: npm install pg',
        cause: error,
      },
    )
  }
  const Constructor = library.default.Client as new (options: ClientOptions) => Client
  return (options) => new Constructor(options)
}

/** How the values of columns are read from their text, by the number of their type. */
const readers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't',
  17: (text) => Buffer.from(text.slice(2), 'hex'),
  20: Number,
  23: Number,
  701: Number,
}

const readText = (text: string) => text

/** The columns that the engine reads are of these types; whatever else comes is text. */
export const columnTypes: ClientOptions['types'] = { getTypeParser: (oid) => readers[oid] ?? readText }
