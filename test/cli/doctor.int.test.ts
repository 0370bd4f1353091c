import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CursorDocument } from '../../src/bus/cursor-tracker.ts'
import { openDatabase, type RawDatabase } from '../../src/engines/lmdb/database.ts'
import { allOf, stateKeyIn } from '../../src/engines/lmdb/keys.ts'
import { sealJson } from '../../src/engines/lmdb/sealed.ts'
import { Workplace } from './process.ts'

const log = ['--log', 'lmdb:log']
const events = 300
let place: Workplace

/** A log that an application worked on until it was killed. */
beforeEach(async () => {
  place = await Workplace.make()
  const input = Array.from({ length: events }, (_, n) => JSON.stringify({ n, sku: `s${n % 7}` })).join('\n')
  const { urls, child, ended } = await place.start(log)
  const ingest = ['ingest', '-', '--type', 'shop.order.placed', '--url', urls.platform]
  expect(await place.run(ingest, { input })).toMatchObject({ code: 0 })
  child.kill('SIGKILL')
  await ended
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

interface Line {
  readonly kind?: string
  readonly where?: string
  readonly summary?: Readonly<Record<string, number>>
}

function linesOf(stdout: string): Line[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

async function tamper(change: (database: RawDatabase) => Promise<unknown>): Promise<void> {
  const database = openDatabase(place.path('log'), false)
  await change(database)
  await database.close()
}

/** Writes over all pages but the first two, which say where the tree begins. */
async function overwritePages(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  await file.write(Buffer.alloc(size - 8192, 0x5a), 0, size - 8192, 8192)
}

/** The first row of the state whose key begins so. */
function stateRow(database: RawDatabase, prefix: string): Uint8Array {
  for (const row of database.getKeys(allOf('state'))) {
    if (stateKeyIn(row).startsWith(prefix)) return Uint8Array.from(row)
  }
  throw new Error(`no key begins with ${prefix}`)
}

describe('doctor', () => {
  test('finds nothing in a log whose process was killed', async () => {
    const people = await place.run(['doctor', ...log])
    expect(people).toMatchObject({ code: 0, stderr: '' })
    expect(people.stdout).toMatch(/^lmdb:log: \d+ records, .*\nnothing is damaged\n$/)
    const hashed = await place.run(['doctor', '--hash', ...log])
    expect(hashed.stdout).toMatch(/damaged\nrecords {2}[0-9a-f]{64}\nstate {4}[0-9a-f]{64}\n$/)
    const programs = await place.run(['doctor', '--json', ...log])
    expect(programs).toMatchObject({ code: 0, stderr: '' })
    const [{ summary } = {}, ...more] = linesOf(programs.stdout)
    expect(summary).toMatchObject({ damage: 0, leftover: 0 })
    expect(summary?.records).toBeGreaterThanOrEqual(events)
    expect(more).toEqual([])
  })

  test('names each place that is damaged, says what to do, and fails', async () => {
    await tamper(async (database) => {
      const row = stateRow(database, 'subscription/')
      await database.put(row, sealJson({ cursor: 1_000_000, done: [] } satisfies CursorDocument, row))
      for (const { key: blockKey, value } of [...database.getRange({ ...allOf('block'), limit: 1 })]) {
        const changed = Buffer.from(value)
        const firstValueAt = 28 + 16 * changed.readUInt16BE(8)
        changed.writeUInt8(changed.readUInt8(firstValueAt) ^ 1, firstValueAt)
        await database.put(blockKey, changed)
      }
    })
    const programs = await place.run(['doctor', '--json', ...log])
    expect(programs.code).toBe(1)
    expect(JSON.parse(programs.stderr)).toMatchObject({
      error: { code: 'LOG_DAMAGED', facts: { damage: 2 } },
    })
    const found = linesOf(programs.stdout)
    expect(found).toMatchObject([
      { kind: 'record-damaged', where: expect.stringMatching(/^[^/]+\/\d+@0$/) },
      { kind: 'cursor-invalid', where: expect.stringMatching(/^shop\/\d+: subscription\//) },
      { summary: { damage: 2, leftover: 0 } },
    ])
    const people = await place.run(['doctor', ...log])
    expect(people.code).toBe(1)
    expect(people.stdout).toContain(`cursor-invalid  ${found[1]?.where}\n  The cursor is at 1000000`)
    expect(people.stdout).toMatch(/\n2 damaged places\n$/)
    expect(people.stderr).toMatch(/^error: LOG_DAMAGED: .*\(lmdb:log\)/)
  })

  test.each([
    ['cut off', (file: FileHandle) => file.truncate(8192)],
    ['written over', (file: FileHandle) => overwritePages(file)],
  ])(
    'tells of pages that cannot be read, also when LMDB ends its process over them: %s',
    async (_, damage) => {
      const file = await open(place.path('log/data.mdb'), 'r+')
      await damage(file)
      await file.close()
      const { code, stdout } = await place.run(['doctor', '--json', ...log])
      expect(code).toBe(1)
      expect(linesOf(stdout).map(({ kind }) => kind)).toContain('pages-damaged')
    },
  )

  test('is refused with LOG_IN_USE while a process has the log open', async () => {
    const { child } = await place.start(log)
    const { code, stderr } = await place.run(['doctor', ...log])
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`process ${child.pid}`),
    })
    expect(stderr).toMatch(/^error: LOG_IN_USE: /)
  })

  test('says so where there is no log, and makes none', async () => {
    await mkdir(place.path('empty'))
    for (const folder of ['empty', 'nowhere']) {
      const { code, stderr } = await place.run(['doctor', '--log', `lmdb:${folder}`])
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: UNREACHABLE: /),
      })
    }
    expect(await place.run(['doctor', '--log', 'memory:'])).toMatchObject({ code: 2 })
    await writeFile(place.path('empty/data.mdb'), 'this is no database')
    const { code, stderr } = await place.run(['doctor', '--log', 'lmdb:empty'])
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: STORAGE_FAILED: /),
    })
  })
})
