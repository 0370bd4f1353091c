import { afterAll, beforeAll, describe, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import type { Runtime } from '../../../src/core/runtime.ts'
import { exportNats } from '../../../src/engines/nats/export.ts'
import { importNats } from '../../../src/engines/nats/import.ts'
import { NatsServers } from '../../../src/engines/nats/nats-servers.ts'
import { readSettings } from '../../../src/engines/nats/settings.ts'
import { JournaledEngine } from '../../../src/log/journal/journaled-engine.ts'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { testEngine } from '../../../src/testing/engine-contract.ts'
import { DeafServers } from './deaf-servers.ts'
import { soundNats, systemNats } from './programs.ts'
import { removeLog } from './remove-log.ts'
import { hasNats, NatsCluster, NatsServer } from './server.ts'

const sound = soundNats()
/** Where that is another server than the machine's own. */
const newer =
  sound === undefined || sound === systemNats()
    ? []
    : [{ name: 'one newer NATS server', start: () => NatsServer.start({ program: sound }) }]
const kinds = [
  { name: 'one NATS server', start: () => NatsServer.start() },
  { name: 'three NATS servers', start: () => NatsCluster.start() },
  ...newer,
]

for (const { name, start } of kinds) {
  describe.runIf(hasNats)(name, () => {
    let server: NatsServer | NatsCluster
    const opened = new WeakMap<LogEngine, DeafServers>()

    beforeAll(async () => {
      server = await start()
    }, 120_000)

    afterAll(() => server?.remove())

    testEngine({
      name: `NATS engine on ${name}`,
      // Most of a test's time is the election of leaders for its streams, which others can use.
      test: { describe, it: (rule, run) => it.concurrent(rule, run, 60_000) },
      capabilities: {
        persistent: true,
        powerLossSafe: false,
        atomicAppend: false,
        appendDeduplicates: true,
        orderedTimes: false,
        atomicCommit: false,
        fencedReads: false,
      },
      severalProcesses: true,
      canBeMoved: true,
      loseSession: async (engine) => opened.get(engine)?.loseSession(),
      async createLog(options) {
        const url = server.url()
        const runtime = sleepingReally(options.runtime)
        return {
          moving: {
            openExport: () => exportNats(url, { runtime }),
            openImport: () => importNats(url, { runtime }),
          },
          open: async (later) => {
            const servers = new DeafServers(
              await NatsServers.open(readSettings(url), { ...options, ...later, runtime }),
            )
            // No sign is missed but those that a test takes away.
            const membership = { heartbeatMs: 600_000 }
            const engine = new JournaledEngine({
              servers,
              stores: new MemoryStateStores(),
              runtime,
              ...membership,
            })
            opened.set(engine, servers)
            return engine
          },
          remove: () => removeLog(url),
        }
      },
    })
  })
}

/** The clock is the test's, but servers that elect a leader are waited for in real time. */
function sleepingReally(runtime: Runtime): Runtime {
  const real = realRuntime()
  return {
    now: () => runtime.now(),
    random: () => runtime.random(),
    id: () => real.id(),
    spawn: (name, task) => runtime.spawn(name, task),
    sleep: (durationMs, signal) => real.sleep(durationMs, signal),
  }
}
