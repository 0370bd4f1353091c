import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemoryLog, openMemory } from '../../../src/engines/memory/index.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { Driver } from '../differential/driver.ts'
import {
  CourseMaker,
  deduplicationWindowMs,
  type Operation,
  partitions,
  type Step,
} from '../differential/operations.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const chosen = process.env.DIFFERENTIAL_SEED
const seeds = chosen === undefined ? Array.from({ length: 8 }, (_, index) => index + 1) : [Number(chosen)]

/** The steps of a course, with what is in flight when a process is killed made one by one. */
function operationsOf(step: Step): readonly (Operation | 'reopen')[] {
  if (step.kind === 'one') return [step.operation]
  if (step.kind === 'reopen') return ['reopen']
  return [...step.calls.map(({ operation }) => operation), 'reopen']
}

describe.runIf(hasPostgres)('PostgreSQL answers as the memory engine does', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  it.for(seeds)('in the course of seed %d', { timeout: 120_000 }, async (seed) => {
    const runtime = new ManualRuntime()
    const options = { runtime, partitions, deduplicationWindowMs }
    const [url, log] = [server.url(), new MemoryLog()]
    const openers: readonly (() => Promise<LogEngine>)[] = [
      async () => openMemory({ ...options, log }),
      () => openPostgres(url, { ...options, leaseMs: 600_000 }),
    ]
    let drivers = await Promise.all(openers.map(async (open) => Driver.on(await open())))
    for (const step of new CourseMaker(seed).make(2)) {
      runtime.set(step.nowMs)
      for (const operation of operationsOf(step)) {
        if (operation === 'reopen') {
          for (const driver of drivers) await driver.close()
          drivers = await Promise.all(openers.map(async (open) => Driver.on(await open())))
        }
        const ask = (driver: Driver) =>
          operation === 'reopen' ? driver.snapshot() : driver.perform(operation)
        const [expected, given] = await Promise.all(drivers.map(ask))
        expect(given, JSON.stringify(operation).slice(0, 300)).toEqual(expected)
      }
    }
    for (const driver of drivers) await driver.close()
    expect(runtime.failures).toEqual([])
  })
})
