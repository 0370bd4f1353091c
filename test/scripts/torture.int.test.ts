/**
 * Goal: nothing that was acknowledged is lost, and no rule of the simulation is broken, when processes are killed with
 * SIGKILL in the midst of all that an application can do. Method: a short run of `npm run torture`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Account, tortureApp, torturePartitions } from '../../scripts/torture/app.ts'
import { canFail } from '../../scripts/torture/faulty-disk.ts'
import { readKilledHistory } from '../../scripts/torture/kill-history.ts'
import { killRound } from '../../scripts/torture/kill-round.ts'
import { commandThatGoesOn, readOptions } from '../../scripts/torture/options.ts'
import { Plan } from '../../scripts/torture/plan.ts'
import { Progress } from '../../scripts/torture/progress.ts'
import { resultOfRound, tasksOf } from '../../scripts/torture/tasks.ts'
import { internalTopics } from '../../src/bus/internal-topics.ts'
import type { ParkedEntry } from '../../src/bus/parked-entry.ts'
import { stateLayout } from '../../src/bus/state-layout.ts'
import { encodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openLmdb } from '../../src/engines/lmdb/lmdb-engine.ts'
import type { Claim } from '../../src/log/port.ts'
import { acknowledgedEventsKept } from '../../src/testing/invariants/acknowledged-events-kept.ts'
import { parkedKeysDrained } from '../../src/testing/invariants/parked-keys-drained.ts'
import { streamsHaveNoGap } from '../../src/testing/invariants/streams-have-no-gap.ts'

const timeoutMs = 900_000
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
  it('keeps every rule', { timeout: timeoutMs }, async () => {
    const round = await killRound(101)
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

describe('a round that runs out of time', () => {
  it('breaks no rule, and says what it waited for', async () => {
    const round = await killRound(104, { limitMs: 1 })
    rmSync(round.folder, { recursive: true })
    expect(round.breaches).toEqual([])
    expect(round.outOfTime).toMatch(/^0 s were too short for .*; .*of 0 events and 0 appends were open/)
  })

  it('is told apart from one that breaks a rule, counted apart, and no success', () => {
    const said: string[] = []
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(String(text)) > 0)
    const round = {
      ...{ seed: 7, disk: true, breaches: [] as string[], outOfTime: undefined, kills: 1, folder: '/there' },
      ...{ acknowledged: 1, attempts: 1, refused: 0, appended: 0, conflicts: 0, records: 1, deadLetters: 0 },
    }
    const progress = new Progress({ seeds: 0, rounds: 3 })
    progress.add(resultOfRound(round))
    expect(progress.holds).toBe(true)
    progress.add(resultOfRound({ ...round, outOfTime: '600 s were too short for it' }))
    expect(progress.holds).toBe(false)
    progress.add(resultOfRound({ ...round, breaches: ['keys keep their order: not so'], outOfTime: 'late' }))
    progress.summarize({ isWhole: true })
    const text = said.join('')
    expect(text).toContain(
      'Round 7 is NOT JUDGED, for it ran out of time; no rule was broken until then:\n  600 s',
    )
    expect(text).toContain(
      'Round 7 BREAKS A RULE:\n  keys keep their order: not so\nand then it ran out of time:',
    )
    expect(text).toContain('\n1 failed: see above\n1 NOT JUDGED: out of time, see above\n')
    expect(text).not.toContain('every rule held')
  })
})

describe('a firing of the schedule', () => {
  const { ticks } = internalTopics(tortureApp.name)
  const at = `${ticks}/0`

  it.each([
    [
      'before all was done, is judged',
      1,
      ["'sweep' has not drained key 'sweep' of 'millrace.torture.ticks', due at 5"],
    ],
    ['after all was done, is not judged: its key may be parked between two attempts', 0, []],
  ])('%s', async (_what, settled, breaches) => {
    const engine = await openLmdb(folder, { runtime: realRuntime(), partitions: torturePartitions })
    await engine.createTopic(ticks, {})
    const named = { specversion: '1.0', id: 'tick', source: 'torture', type: 'millrace.tick' } as const
    const firing = { ...named, time: '2026-01-01T00:00:00Z', data: {} }
    await engine.append([{ topic: ticks, partition: 0, value: encodeEvent(firing), timeMs: 1 }])
    const claim = await new Promise<Claim>((resolve, reject) => {
      const take = (claim: Claim) => claim.partition === 0 && resolve(claim)
      engine.join(tortureApp.name, { id: 'owner' }, take).catch(reject)
    })
    const entry: ParkedEntry = { first: 0, last: 0, count: 1, attempt: 1, dueMs: 5, failures: [] }
    const row = {
      key: stateLayout.parked('sweep', ticks, 'sweep'),
      value: Buffer.from(JSON.stringify(entry)),
    }
    await claim.commit({ puts: [row], deletes: [], appends: [] })
    await engine.close()
    const history = await readKilledHistory({
      ...{ log: `lmdb:${folder}`, journals: [], acknowledged: [], appends: [] },
      settled: { [at]: settled },
    })
    expect(history.log.map(({ event }) => event.id)).toEqual(settled > 0 ? ['tick'] : [])
    expect(parkedKeysDrained(history)).toEqual(breaches)
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
    ['--after', '-1'],
    ['--processes', '0'],
    ['--minutes', 'soon'],
  ])('refuses %s %s', (option, value) => {
    expect(() => readOptions([`${option}=${value}`], ['lmdb'])).toThrow(`${option} must be `)
  })

  it('says what is wrong with an option', async () => {
    const { code, stderr } = await torture('--seeds=many')
    expect(code).toBe(2)
    expect(stderr).toBe('--seeds must be a whole number, at least 0\n')
  })

  it('goes on before the first part that is not done, whatever was done behind it', () => {
    const tasks = ['one', 'two', 'three'].map((subject, index) => {
      return { kind: 'seeds', subject, first: index, count: 5 } as const
    })
    const plan = new Plan(tasks)
    const [first, second] = [plan.next(), plan.next()]
    expect(plan.total).toEqual({ seeds: 15, rounds: 0 })
    if (second !== undefined) plan.done(second)
    expect([plan.goesOnAfter, plan.underWay]).toEqual([0, ['seeds 0 to 4 of one']])
    if (first !== undefined) plan.done(first)
    expect([plan.goesOnAfter, plan.underWay]).toEqual([2, []])
    const rest = new Plan(tasks, 2)
    expect(rest.total).toEqual({ seeds: 5, rounds: 0 })
    expect(rest.next()?.task).toEqual(tasks[2])
    expect(rest.next()).toBeUndefined()
    expect(commandThatGoesOn(['--fault', "the server's", '--after', '1', '--after=1'], 2)).toBe(
      "npm run torture -- --fault 'the server'\\''s' --after 2",
    )
  })

  it('shares the seeds out among the applications, and spreads the rounds among them', () => {
    const tasks = [
      ...tasksOf(['one', 'two'], {
        first: 5,
        seeds: 23,
        rounds: 2,
        disk: 'sometimes',
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
