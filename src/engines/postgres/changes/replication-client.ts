import type { PgoutputPlugin as PluginClass } from 'pg-logical-replication'
import { MillraceError } from '../../../core/errors.ts'
import { valueOfText } from './row-values.ts'

/** A message of the stream, as far as it is used. `commitLsn` names the transaction, and `commitEndLsn` what is behind it. */
export type StreamMessage =
  | { readonly tag: 'begin'; readonly commitLsn: string | null; readonly commitTime: bigint }
  | { readonly tag: 'insert'; readonly new: Tuple }
  | { readonly tag: 'update'; readonly old: Tuple | null; readonly new: Tuple }
  | { readonly tag: 'delete'; readonly old: Tuple | null }
  | { readonly tag: 'truncate' }
  | { readonly tag: 'commit'; readonly commitEndLsn: string | null }
  | { readonly tag: 'relation' | 'type' | 'origin' | 'message' }

/** A row of the stream. */
export type Tuple = Readonly<Record<string, unknown>>

/** A session that the changes of a slot are streamed to. */
export interface Replication {
  on(event: 'data', listener: (lsn: string, message: StreamMessage) => Promise<void> | void): unknown
  on(event: 'heartbeat', listener: (lsn: string, timestamp: number, mustAnswer: boolean) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  subscribe(plugin: object, slot: string): Promise<unknown>
  acknowledge(lsn: string): Promise<boolean>
  destroy(): Promise<unknown>
}

/** What makes a session, and what understands the stream of a publication. */
export interface ReplicationClient {
  connect(connectionString: string): Replication
  plugin(publication: string): HearingPlugin
}

/** Understands a stream, and counts the messages that it has heard, which are told of later. */
export interface HearingPlugin {
  readonly heard: number
}

/** The types of elements of arrays, by the numbers of both. */
const elements = new Map([
  [199, 114],
  [1000, 16],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1115, 1114],
  [1182, 1082],
  [1185, 1184],
  [1231, 1700],
  [2951, 2950],
  [3807, 3802],
])

/** Loads what streams changes. `ENGINE_CLIENT_MISSING` when it is not installed. */
export async function loadReplicationClient(): Promise<ReplicationClient> {
  const { LogicalReplicationService, PgoutputPlugin } = await load()
  const { types } = (await import('pg')).default
  const parsers = types as unknown as {
    readonly arrayParser: {
      create(text: string, element: (text: string) => unknown): { parse(): unknown }
    }
  }
  const parserOf = (typeId: number) => {
    const element = elements.get(typeId)
    if (element === undefined) return (text: string) => valueOfText(typeId, text)
    return (text: string) => parsers.arrayParser.create(text, (each) => valueOfText(element, each)).parse()
  }
  return {
    connect: (connectionString) => {
      const acknowledge = { auto: false, timeoutSeconds: 0 }
      const options = { acknowledge, flowControl: { enabled: true } }
      return new LogicalReplicationService({ connectionString }, options) as unknown as Replication
    },
    plugin: (publication) =>
      new (pluginOf(PgoutputPlugin, parserOf))({ protoVersion: 1, publicationNames: [publication] }),
  }
}

async function load() {
  try {
    return await import('pg-logical-replication')
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MillraceError(
      'ENGINE_CLIENT_MISSING',
      "The library for logical replication, 'pg-logical-replication', is not installed.",
      {
        where: 'pg-logical-replication',
        fix: "Install it beside Millrace: npm install pg-logical-replication; or use capture: 'triggers'.",
        cause: error,
      },
    )
  }
}

/** As the library has it, but for the values of columns, and for an option that PostgreSQL 13 does not know. */
function pluginOf(Plugin: typeof PluginClass, parserOf: (typeId: number) => (text: string) => unknown) {
  return class extends Plugin {
    heard = 0

    override parse(bytes: Buffer) {
      this.heard += 1
      const message = super.parse(bytes)
      // The library keeps this very description for the rows that follow it.
      if (message.tag === 'relation') {
        for (const column of message.columns) column.parser = parserOf(column.typeOid)
      }
      return message
    }

    override start(client: Parameters<PluginClass['start']>[0], slot: string, lsn: string) {
      const [publication = ''] = this.options.publicationNames
      const options = `proto_version '1', publication_names '${publication}'`
      return client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${lsn} (${options})`)
    }
  }
}
