import { soundNats, systemNats } from '../../../test/engines/nats/programs.ts'
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

/**
 * The engines whose servers, connections and processes are made to fail. `nats-2.9` is the machine's own server, where that is one
 * of those that lose what they have acknowledged: then `nats` is a newer one of Debian's.
 */
export const chaosEngines: Readonly<Record<string, ChaosEngine>> = {
  nats: {
    get isHere() {
      return soundNats() !== undefined
    },
    start: () => ThreeNatsServers.start(soundNats()),
  },
  'nats-2.9': {
    get isHere() {
      return systemNats()?.isSound === false
    },
    start: () => ThreeNatsServers.start(systemNats()),
  },
  postgres: { isHere: hasPostgres, start: () => PostgresCluster.start() },
}
