import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { importLmdb } from '../../../src/engines/lmdb/import.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import type { LogImport } from '../../../src/log/moving.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { at, noLimits } from './opened.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { findingsOf } from './verify/damaged-log.ts'

const move = { id: 'move-1', other: 'elsewhere:', finished: false }
const encoder = new TextEncoder()
const runtime = new ManualRuntime()
let folder: ReturnType<typeof temporaryFolder>

beforeEach(() => {
  folder = temporaryFolder()
})

afterEach(() => folder.remove())

const recordAt = (offset: number) => {
  const data = { id: `${offset}`, type: 'test', source: 's' }
  return { offset, timeMs: runtime.now(), value: encoder.encode(JSON.stringify(data)) }
}

/** Brings in a log whose offsets skip before, between and behind its records. */
async function bring(): Promise<LogImport> {
  const log = await importLmdb(folder.path, { runtime })
  await log.begin(move, 2)
  await log.createTopic({ name: 'orders', options: {} })
  await log.addRecords(at, [7, 8].map(recordAt))
  await log.addRecords(at, [100].map(recordAt))
  await log.endPlace(at, { start: 3, end: 5000, lastTimeMs: runtime.now() })
  const state = async function* () {
    yield [{ key: 'subscription/a/orders', value: encoder.encode('{"cursor":4900,"done":[]}') }]
  }
  await log.addClaim({ group: 'shop', partition: 1 }, { epoch: 0, needs: { orders: 4900 } }, state())
  const ids = [7, 8, 100].map((offset) => ({ ...at, offset, timeMs: offset, deduplicationId: `s ${offset}` }))
  await log.addIds(ids, 3)
  return log
}

describe('a log that was moved into a folder', () => {
  it('has nothing that a verification finds, at any time', async () => {
    const log = await bring()
    await log.close()
    expect(await findingsOf(folder.path)).toEqual([])
    const again = await importLmdb(folder.path, { runtime })
    await again.finish()
    await again.close()
    expect(await findingsOf(folder.path)).toEqual([])
  })

  it('has none when it goes on: records behind the skipped offsets, trims, and openings', async () => {
    const log = await bring()
    await log.finish()
    await log.close()
    for (const before of [50, 4000, 5001]) {
      const engine = await openLmdb(folder.path, { runtime })
      await engine.trim(at, { before })
      await engine.close()
      expect(await findingsOf(folder.path)).toEqual([])
      const [appended] = await reopened((opened) => opened.append([{ ...at, ...recordAt(0) }]))
      expect(appended?.offset).toBeGreaterThanOrEqual(5000)
      expect(await findingsOf(folder.path)).toEqual([])
    }
    const { records } = await reopened((opened) => opened.read(at, 5001, noLimits))
    expect(records.map(({ offset }) => offset)).toEqual([5001, 5002])
  })

  it('keeps files of others in its folder when it is dropped', async () => {
    const log = await bring()
    const { writeFileSync, readdirSync } = await import('node:fs')
    writeFileSync(`${folder.path}/notes.txt`, 'mine')
    await log.drop()
    expect(readdirSync(folder.path)).toEqual(['notes.txt'])
  })
})

async function reopened<T>(use: (engine: Awaited<ReturnType<typeof openLmdb>>) => Promise<T>): Promise<T> {
  const engine = await openLmdb(folder.path, { runtime })
  return use(engine).finally(() => engine.close())
}
