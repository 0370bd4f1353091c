import type { Logger, Runtime } from '../../core/runtime.ts'
import { JournaledEngine, type JournaledOptions } from '../../log/journal/journaled-engine.ts'
import { MemoryStateStores } from '../../log/memory-state-stores.ts'
import { defaultPartitions, type EngineOptions, type LogEngine } from '../../log/port.ts'
import type { StateStores } from '../../log/state-store.ts'
import { NatsServers } from './nats-servers.ts'
import { readSettings } from './settings.ts'

/** Options of {@link openNats}. */
export interface NatsOptions
  extends EngineOptions,
    Pick<JournaledOptions, 'heartbeatMs' | 'leaseHeartbeats' | 'journalBytes'> {
  readonly runtime: Runtime
  /** Is warned where the servers are known to lose what they have acknowledged: a cluster of a version before 2.9.15. */
  readonly logger?: Logger
  /** Where the states of the claims are kept on this machine; in memory unless given. Closed with the engine. */
  readonly stores?: StateStores
}

/** A process that was killed is taken for gone after six of these; while no server answers nobody is. */
const heartbeatMs = 500
/** As many as subjects of one stream are asked for at once. */
const mostPartitions = 1024

/**
 * Opens the log on NATS servers with JetStream, and makes it there where there is none: `nats://user:password@a,b,c/NAME`. Any number of
 * processes may have it open. Rejects with `ENGINE_CLIENT_MISSING` when `@nats-io/transport-node` or `@nats-io/obj` is not installed,
 * `LOG_URL_INVALID`, `UNREACHABLE` when no server answers, `SERVER_UNSUPPORTED` for servers before 2.9 or without JetStream,
 * `FILE_UNREADABLE` for a file of credentials, and `STORAGE_FAILED` when the servers refuse.
 */
export async function openNats(url: string, options: NatsOptions): Promise<LogEngine> {
  const partitions = options.partitions ?? defaultPartitions
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > mostPartitions) {
    throw new TypeError(`partitions must be a whole number from 1 to ${mostPartitions}, not ${partitions}`)
  }
  const { runtime, stores = new MemoryStateStores() } = options
  const servers = await NatsServers.open(readSettings(url), options)
  return new JournaledEngine({ heartbeatMs, ...options, servers, stores, runtime })
}
