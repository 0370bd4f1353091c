import { describe, it } from 'vitest'
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
  },
  severalProcesses: false,
  async createLog(options) {
    const folder = temporaryFolder()
    return {
      open: (later) => openLmdb(folder.path, { ...options, ...later }),
      remove: async () => folder.remove(),
    }
  },
})
