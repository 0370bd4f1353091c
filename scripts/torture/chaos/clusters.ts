import { hasNats } from '../../../test/engines/nats/server.ts'
import { hasPostgres } from '../../../test/engines/postgres/server.ts'
import type { Cluster } from './cluster.ts'
import { ThreeNatsServers } from './nats-cluster.ts'
import { PostgresCluster } from './postgres-cluster.ts'

/** An engine that several processes share, and how its servers are started here. */
export interface ChaosEngine {
  /** Whether the servers can be had here. */
  readonly isHere: boolean
  start(): Promise<Cluster>
}

/** The engines whose servers, connections and processes are made to fail. */
export const chaosEngines: Readonly<Record<string, ChaosEngine>> = {
  nats: { isHere: hasNats, start: () => ThreeNatsServers.start() },
  postgres: { isHere: hasPostgres, start: () => PostgresCluster.start() },
}
