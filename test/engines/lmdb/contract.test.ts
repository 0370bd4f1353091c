import { describe, it } from 'vitest'
import { exportLmdb } from '../../../src/engines/lmdb/export.ts'
import { importLmdb } from '../../../src/engines/lmdb/import.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { testEngine } from '../../../src/testing/engine-contract.ts'
import { temporaryFolder } from './temporary-folder.ts'

testEngine({
  name: 'LMDB engine',
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
  severalProcesses: false,
  canBeMoved: true,
  async createLog(options) {
    const folder = temporaryFolder()
    return {
      moving: {
        openExport: () => exportLmdb(folder.path, options),
        openImport: () => importLmdb(folder.path, options),
      },
      open: (later) => openLmdb(folder.path, { ...options, ...later }),
      remove: async () => folder.remove(),
    }
  },
})
