import { appendingRules } from './engine-contract/appending.ts'
import { claimRules } from './engine-contract/claims.ts'
import { commitRules } from './engine-contract/commits.ts'
import { deduplicationRules } from './engine-contract/deduplication.ts'
import type { EngineUnderTest } from './engine-contract/engine-under-test.ts'
import { lifecycleRules } from './engine-contract/lifecycle.ts'
import { movingRules } from './engine-contract/moving.ts'
import { newsRules } from './engine-contract/news.ts'
import { processRules } from './engine-contract/processes.ts'
import { readingRules } from './engine-contract/reading.ts'
import { stateRules } from './engine-contract/state.ts'
import { Suite } from './engine-contract/suite.ts'
import { topicRules } from './engine-contract/topics.ts'
import { trimmingRules } from './engine-contract/trimming.ts'

export type { EngineUnderTest, LogUnderTest, TestFunctions } from './engine-contract/engine-under-test.ts'

/**
 * Holds an engine to the contract of the log port: defines a test for every rule, for the answer that the engine gives
 * to every capability. Works with any test framework that has `describe` and `it`.
 *
 * Rules that only some stored bytes can break, such as a checksum that fails, are tested beside the engine.
 */
export function testEngine(engine: EngineUnderTest): void {
  engine.test.describe(engine.name, () => {
    const suite = new Suite(engine)
    for (const define of [
      topicRules,
      appendingRules,
      deduplicationRules,
      readingRules,
      newsRules,
      trimmingRules,
      claimRules,
      commitRules,
      stateRules,
      lifecycleRules,
      processRules,
      movingRules,
    ]) {
      define(suite)
    }
  })
}
