import { describe, it } from 'vitest'
import { MemoryLog, openMemory } from '../../../src/engines/memory/index.ts'
import { testEngine } from '../../../src/testing/engine-contract.ts'

for (const atomicAppend of [true, false]) {
  for (const appendDeduplicates of [true, false]) {
    const answers = { atomicAppend, appendDeduplicates }
    testEngine({
      name: `memory engine, ${JSON.stringify(answers)}`,
      test: { describe, it },
      capabilities: { persistent: false, powerLossSafe: false, ...answers },
      severalProcesses: true,
      async createLog(options) {
        const log = new MemoryLog()
        return {
          open: async (later) => openMemory({ ...options, ...later, log, ...answers }),
          remove: async () => {},
        }
      },
    })
  }
}
