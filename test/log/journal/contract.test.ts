import { describe, it } from 'vitest'
import type { Runtime } from '../../../src/core/runtime.ts'
import { openLmdbStateStores } from '../../../src/engines/lmdb/state-stores.ts'
import {
  MemoryServers,
  MemoryServersLog,
  type MemoryServersOptions,
} from '../../../src/engines/memory/index.ts'
import { JournaledEngine } from '../../../src/log/journal/journaled-engine.ts'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import type { StateStores } from '../../../src/log/state-store.ts'
import { type EngineUnderTest, testEngine } from '../../../src/testing/engine-contract.ts'
import { temporaryFolder } from '../../engines/lmdb/temporary-folder.ts'
import { shuffledSteps } from '../../engines/memory/shuffled-steps.ts'

interface Variant {
  readonly servers?: () => Partial<MemoryServersOptions>
  /** Where the states are kept on a machine; in memory unless given. */
  readonly stores?: (folder: string, runtime: Runtime) => Promise<StateStores>
  readonly journalBytes?: number
}

function journaledEngine(
  name: string,
  { servers = () => ({}), stores = async () => new MemoryStateStores(), journalBytes }: Variant,
): EngineUnderTest {
  const opened = new WeakMap<LogEngine, MemoryServers>()
  return {
    name: `journaled engine, ${name}`,
    test: { describe, it },
    capabilities: {
      persistent: false,
      powerLossSafe: false,
      atomicAppend: true,
      appendDeduplicates: true,
      orderedTimes: true,
      atomicCommit: false,
      fencedReads: false,
    },
    severalProcesses: true,
    loseSession: async (engine) => opened.get(engine)?.loseSession(),
    async createLog(options) {
      const log = new MemoryServersLog()
      const folder = temporaryFolder()
      return {
        open: async (later) => {
          const { runtime } = options
          const own = new MemoryServers({ ...options, ...later, log, ...servers() })
          const engine = new JournaledEngine({
            servers: own,
            stores: await stores(folder.path, runtime),
            runtime,
            ...(journalBytes === undefined ? {} : { journalBytes }),
          })
          opened.set(engine, own)
          return engine
        },
        remove: async () => folder.remove(),
      }
    },
  }
}

testEngine(journaledEngine('as it is', {}))
testEngine(journaledEngine('checkpoints all the time', { journalBytes: 1 }))
testEngine(
  journaledEngine('its states on disk', {
    stores: (folder, runtime) => openLmdbStateStores({ folder, runtime }),
    journalBytes: 2_000,
  }),
)
testEngine(
  journaledEngine('commits split into many values', {
    servers: () => ({ limits: { maxJournalBytes: 100, maxEntryBytes: 10_000_000 } }),
  }),
)

for (const seed of [1, 2, 3]) {
  testEngine(
    journaledEngine(`its steps in another order, seed ${seed}`, {
      servers: () => ({ steps: shuffledSteps(seed) }),
      journalBytes: seed === 2 ? 500 : 1_000_000,
    }),
  )
}
