import { hasNats, NatsServer } from './nats/server.ts'
import { hasPostgres, PostgresServer } from './postgres/server.ts'

/** The servers of an engine, which logs that several processes share are on. */
export interface LogServers {
  /** The URL of a log of its own. */
  newLog(): string
  remove(): Promise<void>
}

/** The engines whose logs several processes may have open, each with how its servers are started here. */
export const sharedEngines: readonly {
  readonly name: string
  /** Whether its servers can be had here. */
  readonly isHere: boolean
  start(): Promise<LogServers>
}[] = [
  {
    name: 'PostgreSQL',
    isHere: hasPostgres,
    async start() {
      const server = await PostgresServer.start()
      return { newLog: () => server.url(), remove: () => server.remove() }
    },
  },
  {
    name: 'NATS JetStream',
    isHere: hasNats,
    async start() {
      const server = await NatsServer.start()
      return { newLog: () => server.url(), remove: () => server.remove() }
    },
  },
]
