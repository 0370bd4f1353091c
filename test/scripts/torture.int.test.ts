/**
 * Goal: nothing that was acknowledged is lost, and no rule of the simulation is broken, when processes are killed with
 * SIGKILL in the midst of all that an application can do. Method: a short run of `npm run torture`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Account } from '../../scripts/torture/app.ts'
import { canFail } from '../../scripts/torture/faulty-disk.ts'
import { readKilledHistory } from '../../scripts/torture/kill-history.ts'
import { killRound } from '../../scripts/torture/kill-round.ts'
import { tasksOf } from '../../scripts/torture/tasks.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openLmdb } from '../../src/engines/lmdb/lmdb-engine.ts'
import { acknowledgedEventsKept } from '../../src/testing/invariants/acknowledged-events-kept.ts'
import { streamsHaveNoGap } from '../../src/testing/invariants/streams-have-no-gap.ts'

const timeoutMs = 300_000
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-torture-test-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function torture(...args: string[]) {
  const child = spawn(process.execPath, ['-C', 'millrace-source', 'scripts/torture.ts', ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, stdout, stderr }
}

describe('an application whose processes are killed', () => {
  it.each([101, 102])('keeps every rule, round %i', { timeout: timeoutMs }, async (seed) => {
    const round = await killRound(seed)
    expect(round.breaches).toEqual([])
    expect(round.kills).toBeGreaterThan(1)
    expect(round.acknowledged).toBeGreaterThan(400)
    expect(round.appended).toBeGreaterThan(50)
    expect(round.conflicts).toBeGreaterThan(5)
    expect(round.attempts).toBeGreaterThan(1_000)
    expect(round.deadLetters).toBeGreaterThan(10)
  })

  it.runIf(canFail())('keeps every rule when its disk fails too', { timeout: timeoutMs }, async () => {
    const round = await killRound(103, { disk: true })
    expect(round.breaches).toEqual([])
    expect(round.refused).toBeGreaterThan(0)
    expect(round.acknowledged).toBeGreaterThan(20)
    expect(round.appended).toBeGreaterThan(5)
  })

  it('is judged by what the disk has: an acknowledged event that is not there is a breach', async () => {
    const engine = await openLmdb(folder, { runtime: realRuntime() })
    await engine.createTopic('torture', {})
    await engine.close()
    const acknowledged = [{ id: 'lost', topic: 'torture', partition: 1, offset: 0 }]
    const [stream, told] = [Account.name, { version: 1, ids: ['a1.1'] }]
    const appends = [{ stream, id: 'a', append: 'a1', expectedVersion: 0, count: 1, told }]
    const history = await readKilledHistory({
      log: `lmdb:${folder}`,
      journals: [],
      acknowledged,
      appends,
      settled: {},
    })
    expect(acknowledgedEventsKept(history)).toEqual([
      "'lost' was acknowledged at torture/1 0 and is not there",
    ])
    expect(streamsHaveNoGap(history)).toEqual([
      "append 'a1' to torture-account 'a' was told that 'a1.1' has version 1, and it has none",
    ])
  })
})

describe('npm run torture', () => {
  it('simulates seeds of every application and kills, and says what it did', {
    timeout: timeoutMs,
  }, async () => {
    const { code, stdout, stderr } = await torture(
      '--seeds',
      '15',
      '--rounds',
      '1',
      '--chaos',
      '0',
      '--processes',
      '2',
    )
    expect(stderr.replaceAll(/^.* seeds\/s .*$/gm, '').trim()).toBe('')
    expect(stdout).toMatch(/^15 seeds simulated, 1 rounds with \d kills, in \d+\.\d min$/m)
    expect(stdout).toMatch(/^every rule held$/m)
    expect(code).toBe(0)
  })

  it.each([
    ['--seeds', 'many'],
    ['--rounds', '-1'],
    ['--chaos', '-1'],
    ['--engine', 'oracle'],
    ['--processes', '0'],
    ['--minutes', 'soon'],
  ])('refuses %s %s', async (option, value) => {
    const { code, stderr } = await torture(`${option}=${value}`)
    expect(code).toBe(2)
    expect(stderr).toContain(`${option} must be `)
  })

  it('shares the seeds out among the applications, and spreads the rounds among them', () => {
    const tasks = [
      ...tasksOf(['one', 'two'], {
        first: 5,
        seeds: 23,
        rounds: 2,
        disk: true,
        chaos: 3,
        engines: ['a', 'b'],
      }),
    ]
    expect(tasks).toEqual([
      { kind: 'seeds', subject: 'one', first: 5, count: 5 },
      { kind: 'round', seed: 5, disk: false },
      { kind: 'seeds', subject: 'two', first: 5, count: 5 },
      { kind: 'chaos', engine: 'a', seed: 5 },
      { kind: 'seeds', subject: 'one', first: 10, count: 5 },
      { kind: 'chaos', engine: 'b', seed: 5 },
      { kind: 'seeds', subject: 'two', first: 10, count: 5 },
      { kind: 'round', seed: 6, disk: false },
      { kind: 'seeds', subject: 'one', first: 15, count: 3 },
      { kind: 'chaos', engine: 'a', seed: 6 },
    ])
  })
})
