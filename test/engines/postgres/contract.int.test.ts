import { afterAll, beforeAll, describe, it } from 'vitest'
import { exportPostgres } from '../../../src/engines/postgres/export.ts'
import { importPostgres } from '../../../src/engines/postgres/import.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import { testEngine } from '../../../src/testing/engine-contract.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

describe.runIf(hasPostgres)('PostgreSQL', () => {
  let server: PostgresServer
  /** The log that the latest test works on. */
  let url: string

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  testEngine({
    name: 'PostgreSQL engine',
    test: { describe, it },
    capabilities: {
      persistent: true,
      powerLossSafe: true,
      atomicAppend: true,
      appendDeduplicates: true,
      atomicCommit: true,
      fencedReads: true,
      orderedTimes: true,
    },
    severalProcesses: true,
    canBeMoved: true,
    async loseSession() {
      // What a process does that takes the first member for gone.
      await administer(
        url,
        'begin',
        "delete from member where member_id = 'one'",
        "update claim set epoch = epoch + 1, member_id = 'two' where member_id = 'one'",
        `select pg_notify('millrace_' || current_schema(), 'group ' || id) from consumer_group`,
        'commit',
      )
    },
    async createLog(options) {
      url = server.url()
      const log = url
      return {
        open: (later) => openPostgres(log, { ...options, ...later, leaseMs: 600_000 }),
        moving: {
          openExport: () => exportPostgres(log, options),
          openImport: () => importPostgres(log, options),
        },
        remove: async () => undefined,
      }
    },
  })
})
