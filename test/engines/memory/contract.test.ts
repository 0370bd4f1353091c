import { describe, it } from 'vitest'
import {
  exportMemory,
  importMemory,
  type MemoryEngine,
  MemoryLog,
  type MemoryOptions,
  openMemory,
} from '../../../src/engines/memory/index.ts'
import { type EngineUnderTest, testEngine } from '../../../src/testing/engine-contract.ts'
import { shuffledSteps } from './shuffled-steps.ts'

function memoryEngine(
  name: string,
  answers: { readonly atomicAppend: boolean; readonly appendDeduplicates: boolean },
  more: () => Partial<MemoryOptions> = () => ({}),
): EngineUnderTest {
  return {
    name: `memory engine, ${name}`,
    test: { describe, it },
    capabilities: {
      persistent: false,
      powerLossSafe: false,
      atomicCommit: true,
      fencedReads: true,
      orderedTimes: true,
      ...answers,
    },
    severalProcesses: true,
    canBeMoved: true,
    loseSession: async (engine) => (engine as MemoryEngine).loseSession(),
    async createLog(options) {
      const log = new MemoryLog()
      return {
        open: async (later) => openMemory({ ...options, ...later, log, ...answers, ...more() }),
        moving: { openExport: () => exportMemory(log), openImport: () => importMemory(log) },
        remove: async () => {},
      }
    },
  }
}

testEngine(memoryEngine('as it is', { atomicAppend: true, appendDeduplicates: true }))
testEngine(memoryEngine('appending entry by entry', { atomicAppend: false, appendDeduplicates: true }))
testEngine(memoryEngine('storing repeats', { atomicAppend: true, appendDeduplicates: false }))
testEngine(memoryEngine('promising least', { atomicAppend: false, appendDeduplicates: false }))

for (const seed of [1, 2, 3]) {
  testEngine(
    memoryEngine(
      `its steps in another order, seed ${seed}`,
      { atomicAppend: seed !== 2, appendDeduplicates: true },
      () => ({ steps: shuffledSteps(seed) }),
    ),
  )
}
