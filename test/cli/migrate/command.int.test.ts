import { existsSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { exportLmdb } from '../../../src/engines/lmdb/export.ts'
import { importLmdb } from '../../../src/engines/lmdb/import.ts'
import { Workplace } from '../process.ts'

let place: Workplace
const timeoutMs = 180_000

beforeEach(async () => {
  place = await Workplace.make()
}, timeoutMs)

afterEach(() => place[Symbol.asyncDispose]())

/** Makes a log in a folder, with a topic and some records. */
async function makeLog(name = 'here'): Promise<string> {
  const lines = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n })).join('\n')
  const log = `lmdb:${place.path(name)}`
  const ingest = [
    'ingest',
    '-',
    '--type',
    'shop.order.placed',
    '--topic',
    'shop',
    '--create-topic',
    '--log',
    log,
  ]
  expect((await place.run(ingest, { input: lines })).code).toBe(0)
  return log
}

/** Leaves a migration as one that was killed: begun, and not finished. */
async function beginMove(from: string, to: string): Promise<void> {
  const runtime = realRuntime()
  const source = await exportLmdb(from.replace('lmdb:', ''), { runtime })
  await source.setMark({ id: 'move-1', other: to, finished: false })
  await source.close()
  const target = await importLmdb(to.replace('lmdb:', ''), { runtime })
  await target.begin({ id: 'move-1', other: from, finished: false }, 16)
  await target.close()
}

const migrate = (...args: readonly string[]) => place.run(['migrate', ...args])

describe('millrace migrate', { timeout: timeoutMs }, () => {
  test('says as JSON what it has moved, and has the hashes of a backup', async () => {
    const [from, to] = [await makeLog(), `lmdb:${place.path('there')}`]
    const backup = await place.run(['backup', place.path('backup'), '--log', from, '--json'])
    const { code, stdout, stderr } = await migrate('--from', from, '--to', to, '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { hashes } = JSON.parse(backup.stdout)
    const { ids, records, ...told } = JSON.parse(stdout)
    expect(told).toEqual({ from, to, finishedBefore: false, topics: 2, groups: 0, stateValues: 0, hashes })
    expect(records).toBe(JSON.parse(backup.stdout).records)
    expect(ids).toEqual({ moved: records, lost: 0 })
    const again = JSON.parse((await migrate('--from', from, '--to', to, '--json')).stdout)
    expect(again).toEqual({ from, to, finishedBefore: true })
  })

  test('moves the log that the environment names, and says how far it is where there is no terminal', async () => {
    const from = await makeLog()
    const args = ['migrate', '--to', `lmdb:${place.path('there')}`]
    const { code, stdout } = await place.run(args, { environment: { MILLRACE_LOG: from } })
    expect(code).toBe(0)
    expect(stdout).toMatch(/2 topics, \d+ records, 0 state values of 0 groups, verified/)
  })

  test('changes nothing in a dry run', async () => {
    const [from, to] = [await makeLog(), `lmdb:${place.path('there')}`]
    const { stdout } = await migrate('--from', from, '--to', to, '--dry-run', '--json')
    expect(JSON.parse(stdout)).toEqual({
      ...{ from, to, dryRun: true, topics: 2, records: expect.any(Number), groups: 0, partitions: 16 },
    })
    expect(existsSync(place.path('there'))).toBe(false)
    expect((await place.run(['inspect', '--log', from])).code).toBe(0)
  })

  test('leaves the log usable with --copy', async () => {
    const [from, to] = [await makeLog(), `lmdb:${place.path('there')}`]
    expect((await migrate('--from', from, '--to', to, '--copy')).code).toBe(0)
    for (const log of [from, to]) expect((await place.run(['inspect', '--log', log])).code).toBe(0)
  })

  test('goes on where it was killed, and lets nobody else open either log meanwhile', async () => {
    const [from, to] = [await makeLog(), `lmdb:${place.path('there')}`]
    await beginMove(from, to)
    expect(await Promise.all([from, to].map(codeOf))).toEqual(['LOG_MOVED', 'IMPORT_UNFINISHED'])
    const { code } = await migrate('--from', from, '--to', to)
    expect(code).toBe(0)
    expect(await codeOf(to)).toBeUndefined()
    expect(await codeOf(from)).toBe('LOG_MOVED')
  })

  test('can be given up until it is finished', async () => {
    const [from, to] = [await makeLog(), `lmdb:${place.path('there')}`]
    await beginMove(from, to)
    const given = await migrate('--from', from, '--to', to, '--abandon', '--json')
    expect(JSON.parse(given.stdout)).toEqual({ location: from, abandoned: true })
    expect(existsSync(place.path('there'))).toBe(false)
    expect(await codeOf(from)).toBeUndefined()
    const nothing = await migrate('--from', from, '--to', to, '--abandon', '--json')
    expect(JSON.parse(nothing.stdout)).toEqual({ location: from, abandoned: false })
    expect((await migrate('--from', from, '--to', to)).code).toBe(0)
    const refused = await migrate('--from', from, '--to', to, '--abandon')
    expect(refused.stderr).toContain('Everything has been moved already')
  })

  test('ends with 1 where it is refused, and says why', async () => {
    const [from, occupied] = [await makeLog(), await makeLog('occupied')]
    const refusals: readonly (readonly [readonly string[], string])[] = [
      [['--from', from, '--to', occupied], 'LOG_OCCUPIED'],
      [['--from', 'lmdb:nowhere', '--to', 'lmdb:there'], 'LOG_UNKNOWN'],
      [['--from', from, '--to', 'memory:'], 'LOG_URL_INVALID'],
      [['--from', from, '--to', 'kafka://localhost'], 'ENGINE_UNKNOWN'],
    ]
    for (const [args, expected] of refusals) {
      const { code, stderr } = await migrate(...args)
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(expected) })
    }
    expect(await codeOf(from)).toBeUndefined()
  })

  test('ends with 2 where it is misused', async () => {
    const from = await makeLog()
    for (const args of [
      ['--from', from],
      ['--from', from, '--to', from],
      ['--from', from, '--to', 'lmdb:x', '--abandon', '--copy'],
    ]) {
      const { code, stderr } = await migrate(...args)
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('COMMAND_INVALID') })
    }
  })

  test('never shows a password', async () => {
    const from = await makeLog()
    const to = 'postgres://ann:hunter2@127.0.0.1:1/x?password=hunter2'
    const { code, stdout, stderr } = await migrate('--from', from, '--to', to, '--verbose')
    expect(code).toBe(1)
    expect(stdout + stderr).not.toContain('hunter2')
    expect(stderr).toContain('UNREACHABLE')
  })
})

/** What opening a log is refused with; undefined where it is not. */
async function codeOf(log: string): Promise<string | undefined> {
  const { stderr } = await place.run(['inspect', '--log', log, '--json'])
  return stderr === ''
    ? undefined
    : (JSON.parse(stderr) as { readonly error: { readonly code: string } }).error.code
}
