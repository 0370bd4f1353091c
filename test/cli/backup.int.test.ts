import { existsSync } from 'node:fs'
import { cp, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { start } from '../../src/app/start.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openLmdb } from '../../src/engines/lmdb/lmdb-engine.ts'
import shop from './fixtures/shop.ts'
import { type Started, Workplace } from './process.ts'

/**
 * Goal: a backup that is made while an application works is a whole log as of one moment. Method: events are published on
 * and on while the backup is made; then another application starts on what was restored.
 */

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

interface Summary {
  readonly hashes: { readonly records: string; readonly state: string }
  readonly records: number
}

/** Publishes until it is told to end, and gives the numbers that were acknowledged. */
function publishOnAndOn({ urls }: Started) {
  const acknowledged: number[] = []
  let goesOn = true
  const work = async (first: number) => {
    for (let n = first; goesOn; n += 4) {
      const event = { specversion: '1.0', id: `n${n}`, source: 'test', type: 'shop.order.placed' }
      const body = JSON.stringify({ ...event, data: { n, sku: `s${n % 7}` } })
      const headers = { 'content-type': 'application/cloudevents+json' }
      const answer = await fetch(`${urls.platform}/events`, { method: 'POST', headers, body })
      if (answer.status !== 202) throw new Error(await answer.text())
      acknowledged.push(n)
    }
  }
  const working = Promise.all([0, 1, 2, 3].map(work))
  // It is met by end(), which a test that fails before never calls.
  working.catch(() => {})
  const end = async () => {
    goesOn = false
    await working
  }
  return { acknowledged, end }
}

async function seen(started: Started): Promise<number> {
  let sum = 0
  for (let sku = 0; sku < 7; sku += 1) {
    const answer = await fetch(`${started.urls.app}/seen/s${sku}`)
    sum += ((await answer.json()) as { seen: number }).seen
  }
  return sum
}

async function hashesOf(folder: string): Promise<Summary['hashes']> {
  const { stdout } = await place.run(['doctor', '--json', '--log', `lmdb:${folder}`])
  return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { summary: Summary }).summary.hashes
}

async function numbersIn(folder: string): Promise<Set<number>> {
  const engine = await openLmdb(place.path(folder), { runtime: realRuntime() })
  const numbers = new Set<number>()
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    const { records } = await engine.read({ topic: 'shop', partition }, 0, { records: 1e6, bytes: 1e9 })
    for (const { value } of records) numbers.add(JSON.parse(Buffer.from(value).toString()).data.n)
  }
  await engine.close()
  return numbers
}

describe('a backup of a log in use', () => {
  test('has all that was acknowledged before it, and restores to a log that an application goes on with', {
    timeout: 180_000,
  }, async () => {
    const running = await place.start(['--log', 'lmdb:log'])
    const publishing = publishOnAndOn(running)
    await expect.poll(() => publishing.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(300)
    const before = [...publishing.acknowledged]
    const made = await place.run(['backup', 'copies/first', '--json', '--url', running.urls.platform])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    await publishing.end()
    const restored = await place.run(['restore', 'copies/first', '--json', '--log', 'lmdb:restored'])
    expect(restored).toMatchObject({ code: 0, stderr: '' })

    const { hashes, records } = JSON.parse(made.stdout) as Summary
    expect(await hashesOf('restored')).toEqual(hashes)
    expect(JSON.parse(restored.stdout)).toMatchObject({ hashes, records, location: 'lmdb:restored' })
    const numbers = await numbersIn('restored')
    expect(before.filter((n) => !numbers.has(n))).toEqual([])

    const again = await place.start(['--log', 'lmdb:restored'])
    await expect.poll(() => seen(again), { timeout: 60_000 }).toBe(numbers.size)
    expect(await seen(running)).toBeGreaterThanOrEqual(publishing.acknowledged.length)
  })
})

describe('a log that nobody has open', () => {
  /** A log with events that were handled. */
  async function makeLog(): Promise<void> {
    const running = await place.start(['--log', 'lmdb:log'])
    const input = Array.from({ length: 200 }, (_, n) => JSON.stringify({ n, sku: `s${n % 7}` })).join('\n')
    const ingest = ['ingest', '-', '--type', 'shop.order.placed', '--url', running.urls.platform]
    expect(await place.run(ingest, { input })).toMatchObject({ code: 0 })
    await expect.poll(() => seen(running), { timeout: 60_000 }).toBe(200)
    running.child.kill('SIGTERM')
    await running.ended
  }

  test('has a state whose hash is that of a replay of its records', async () => {
    await makeLog()
    const engine = await openLmdb(place.path('log'), { runtime: realRuntime() })
    const replayed = await openLmdb(place.path('replayed'), { runtime: realRuntime() })
    await replayed.createTopic('shop', {})
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      const at = { topic: 'shop', partition }
      const { records } = await engine.read(at, 0, { records: 1e6, bytes: 1e9 })
      await replayed.append(records.map(({ value, timeMs }) => ({ ...at, value, timeMs })))
    }
    await engine.close()
    const running = await start(shop, { log: replayed })
    await running.settled()
    await running.stop()
    await replayed.close()
    const { state, records } = await hashesOf('log')
    const other = await hashesOf('replayed')
    expect(other.state).toBe(state)
    expect(other.records).not.toBe(records)
  })

  test('is backed up too, and its hashes change with what it holds', async () => {
    await makeLog()
    const people = await place.run(['backup', 'copy', '--log', 'lmdb:log'])
    expect(people.stdout).toMatch(
      /copy: \d+ records, \d+ state values, verified\nrecords {2}\w{64}\nstate {4}\w{64}\n$/,
    )
    const { state, records } = await hashesOf('log')
    const running = await place.start(['--log', 'lmdb:log'])
    await place.run([
      'publish',
      'shop.order.placed',
      '--data',
      '{"n":1,"sku":"s1"}',
      '--url',
      running.urls.platform,
    ])
    await expect.poll(() => seen(running), { timeout: 60_000 }).toBe(201)
    running.child.kill('SIGTERM')
    await running.ended
    const after = await hashesOf('log')
    expect(after.state).not.toBe(state)
    expect(after.records).not.toBe(records)
  })

  test('is not backed up, and no backup is restored, where something is already', async () => {
    await makeLog()
    await mkdir(place.path('taken'))
    const taken = { code: 1, stderr: expect.stringContaining('FOLDER_UNUSABLE') }
    expect(await place.run(['backup', 'taken', '--log', 'lmdb:log'])).toMatchObject(taken)
    await place.run(['backup', 'copy', '--log', 'lmdb:log'])
    expect(await place.run(['restore', 'copy', '--log', 'lmdb:log'])).toMatchObject(taken)
    expect(await place.run(['restore', 'copy', '--log', 'lmdb:taken'])).toMatchObject(taken)
    expect(await readFile(place.path('log/data.mdb')).then(({ length }) => length)).toBeGreaterThan(0)
  })

  test('is not restored from what is no whole backup', async () => {
    await makeLog()
    await place.run(['backup', 'copy', '--log', 'lmdb:log'])
    const invalid = { code: 1, stderr: expect.stringContaining('BACKUP_INVALID') }
    const restore = async (folder: string) => {
      expect(await place.run(['restore', folder, '--log', 'lmdb:new'])).toMatchObject(invalid)
      expect(existsSync(place.path('new'))).toBe(false)
    }
    await restore('nowhere')
    await restore('log')
    for (const [name, change] of Object.entries({
      'cut off': () => rm(place.path('cut off/millrace-backup.json')),
      'without data': () => rm(place.path('without data/data.mdb')),
      'of another version': () =>
        writeFile(place.path('of another version/millrace-backup.json'), '{"format":2}'),
      'of another log': () => writeFile(place.path('of another log/millrace-backup.json'), manifestOfNothing),
      changed: () => changeByte(place.path('changed/data.mdb')),
    })) {
      await cp(place.path('copy'), place.path(name), { recursive: true })
      await change()
      await restore(name)
    }
  })

  test('is not backed up when it is damaged', async () => {
    await makeLog()
    await changeByte(place.path('log/data.mdb'))
    const made = await place.run(['backup', 'copy', '--log', 'lmdb:log'])
    expect(made).toMatchObject({ code: 1, stderr: expect.stringContaining('LOG_DAMAGED') })
    expect(existsSync(place.path('copy'))).toBe(false)
  })
})

describe('misuse', () => {
  test.each([
    [['backup'], 'COMMAND_INVALID'],
    [['restore'], 'COMMAND_INVALID'],
    [['restore', 'copy', '--log', 'memory:'], 'COMMAND_INVALID'],
    [['backup', 'copy', '--log', 'memory:'], 'COMMAND_INVALID'],
  ])('%s is %s', async (args, code) => {
    expect(await place.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(code) })
  })
})

const manifestOfNothing = JSON.stringify({ format: 1, hashes: { records: 'a', state: 'b' } })

/** Changes a letter of an event in the file, wherever it is stored. */
async function changeByte(path: string): Promise<void> {
  const content = await readFile(path)
  const file = await open(path, 'r+')
  for (let at = content.indexOf('"sku":"s3"'); at >= 0; at = content.indexOf('"sku":"s3"', at + 1)) {
    await file.write(Buffer.from('S'), 0, 1, at + 1)
  }
  await file.close()
}
