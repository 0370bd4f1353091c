import { hasPostgres } from '../../../test/engines/postgres/server.ts'
import type { Cluster } from './cluster.ts'
import { PostgresCluster } from './postgres-cluster.ts'

/** An engine that several processes share, and how its servers are started here. */
export interface ChaosEngine {
  /** Whether the servers can be had here. */
  readonly isHere: boolean
  start(): Promise<Cluster>
}

/** The engines whose servers, connections and processes are made to fail. */
export const chaosEngines: Readonly<Record<string, ChaosEngine>> = {
  postgres: { isHere: hasPostgres, start: () => PostgresCluster.start() },
}
