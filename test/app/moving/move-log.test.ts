import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { abandonMove, type MoveOptions, moveLog } from '../../../src/app/moving/move-log.ts'
import { exportMemory, importMemory, MemoryLog, openMemory } from '../../../src/engines/memory/index.ts'
import type { LogExport, LogImport } from '../../../src/log/moving.ts'
import type { Entry } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { CutOff } from './cut-off.ts'
import { entryOf, filledLog } from './filled-log.ts'

const uncut = new CutOff({ calls: Number.POSITIVE_INFINITY, afterwards: false })

interface Watched {
  readonly cutOff?: CutOff
  readonly keepSource?: boolean
  readonly onAdded?: (records: number) => void
}

/** Opens both ends as a process does that is started anew, and moves. */
async function move(from: MemoryLog, to: MemoryLog, watched: Watched = {}) {
  const { cutOff = uncut, keepSource = false, onAdded = () => undefined } = watched
  return await withEnds(from, to, async ({ source, target }) => {
    const counted = countingRecords(target.log, onAdded)
    return await moveLog({
      source: { ...source, log: cutOff.on(source.log) },
      target: { ...target, log: cutOff.on(counted) },
      runtime: new ManualRuntime(),
      keepSource,
      onProgress: ({ fraction = 0 }) => {
        if (fraction < 0 || fraction > 1) throw new Error(`${fraction} of it is done`)
      },
    })
  })
}

async function withEnds<T>(
  from: MemoryLog,
  to: MemoryLog,
  use: (ends: Pick<MoveOptions, 'source' | 'target'>) => Promise<T>,
): Promise<T> {
  const source: LogExport = await exportMemory(from)
  const target: LogImport = await importMemory(to)
  return await use({ source: { log: source, name: 'one:' }, target: { log: target, name: 'other:' } })
}

function countingRecords(log: LogImport, onAdded: (records: number) => void): LogImport {
  return new Proxy(log, {
    get: (_, name) => {
      const member: unknown = Reflect.get(log, name, log)
      if (typeof member !== 'function') return member
      return (...args: readonly unknown[]) => {
        if (name === 'addRecords') onAdded((args[1] as readonly unknown[]).length)
        return Reflect.apply(member, log, args) as unknown
      }
    },
  })
}

async function recordsOf(log: MemoryLog) {
  const contents = await importMemory(log)
  const found: unknown[] = []
  for (const { name: topic } of await contents.listTopics()) {
    for (let partition = 0; partition < contents.partitions; partition += 1) {
      const { start, end, lastTimeMs } = await contents.ends({ topic, partition })
      const { records } = await contents.read({ topic, partition }, start, { records: 1e6, bytes: 1e9 })
      found.push({ topic, partition, start, end, lastTimeMs, records })
    }
  }
  return found
}

describe('moving a log', () => {
  test('keeps everything, wherever it is cut off and goes on', async () => {
    const cuts = fc.array(fc.record({ calls: fc.nat(120), afterwards: fc.boolean() }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000_000), cuts, async (seed, all) => {
        const { log, runtime, entries } = await filledLog(seed)
        const before = await recordsOf(log)
        const target = new MemoryLog()
        for (const cut of all) {
          const cutOff = new CutOff(cut)
          await move(log, target, { cutOff }).catch((error: Error) => expect(error.message).toBe('cut off'))
          if (!cutOff.isReached) break
          await checkNoneIsUsable(log, target, runtime)
        }
        // Where it had been finished already there is nothing left to do.
        const moved = log.mark?.finished ? undefined : await move(log, target)
        if (moved !== undefined) expect(moved.records).toBe(countOf(before))
        expect(() => openMemory({ log, runtime })).toThrow(expect.objectContaining({ code: 'LOG_MOVED' }))
        expect(await recordsOf(target)).toEqual(before)
        await checkIds(target, runtime, entries)
      }),
      { numRuns: 150 },
    )
  })

  test('brings in each record once when it goes on', async () => {
    const { log } = await filledLog(7)
    const total = countOf(await recordsOf(log))
    const target = new MemoryLog()
    let added = 0
    const onAdded = (records: number) => {
      added += records
    }
    for (let calls = 10; ; calls += 7) {
      const cutOff = new CutOff({ calls, afterwards: true })
      await move(log, target, { cutOff, onAdded }).catch(() => undefined)
      if (!cutOff.isReached) break
    }
    expect(added).toBe(total)
  })

  test('says the same hashes as the next move of the same log', async () => {
    const { log } = await filledLog(3)
    const [one, other] = [new MemoryLog(), new MemoryLog()]
    const first = await move(log, one, { keepSource: true })
    const second = await move(one, other)
    expect(second?.hashes).toEqual(first?.hashes)
    expect(first?.stateValues).toBeGreaterThan(0)
  })

  test('leaves a source that is kept usable, and both go their own ways', async () => {
    const { log, runtime } = await filledLog(4)
    const target = new MemoryLog()
    await move(log, target, { keepSource: true })
    const [one, other] = [openMemory({ log, runtime }), openMemory({ log: target, runtime })]
    const entry = entryOf('orders', 'new', {}, runtime.now())
    const [here] = await one.append([entry])
    const [there] = await other.append([entry])
    expect(here).toEqual(there)
  })

  test('says so when it was finished before', async () => {
    const { log } = await filledLog(5)
    const target = new MemoryLog()
    expect(await move(log, target)).toBeDefined()
    expect(await move(log, target)).toBeUndefined()
    expect(log.mark?.finished).toBe(true)
  })

  test('refuses a target that holds something else, and leaves the source as it was', async () => {
    const { log, runtime } = await filledLog(6)
    const { log: occupied } = await filledLog(8)
    await expect(move(log, occupied)).rejects.toMatchObject({ code: 'LOG_OCCUPIED' })
    await openMemory({ log, runtime }).close()
    const halfMoved = new MemoryLog()
    const cutOff = new CutOff({ calls: 25, afterwards: false })
    await expect(move(occupied, halfMoved, { cutOff })).rejects.toThrow('cut off')
    await expect(move(log, halfMoved)).rejects.toMatchObject({ code: 'LOG_OCCUPIED' })
    await openMemory({ log, runtime }).close()
  })

  test('refuses a source that was moved, or is being moved, elsewhere', async () => {
    const { log } = await filledLog(9)
    log.mark = { id: 'earlier', other: 'third:', finished: false }
    await expect(move(log, new MemoryLog())).rejects.toMatchObject({ code: 'LOG_MOVED' })
    log.mark = { id: 'earlier', other: 'other:', finished: true }
    await expect(move(log, new MemoryLog())).rejects.toMatchObject({ code: 'LOG_MOVED' })
  })

  test('finds what is not the same at the end, and does not let the target be used', async () => {
    const { log, runtime } = await filledLog(10)
    const target = new MemoryLog()
    const changing = withEnds(log, target, ({ source, target: end }) => {
      const forging = new Proxy(end.log, {
        get: (_, name) => {
          const member: unknown = Reflect.get(end.log, name, end.log)
          if (name !== 'addRecords') return typeof member === 'function' ? member.bind(end.log) : member
          return (at: never, records: readonly { readonly value: Uint8Array }[]) => {
            const forged = records.map((record) => ({
              ...record,
              value: record.value.map((byte) => byte ^ 1),
            }))
            return end.log.addRecords(at, forged as never)
          }
        },
      })
      const runtime = new ManualRuntime()
      const ends = { source, target: { ...end, log: forging } }
      return moveLog({ ...ends, runtime, keepSource: false, onProgress: () => undefined })
    })
    await expect(changing).rejects.toMatchObject({ code: 'LOGS_DIFFER' })
    expect(() => openMemory({ log: target, runtime })).toThrow(
      expect.objectContaining({ code: 'IMPORT_UNFINISHED' }),
    )
  })
})

describe('giving a move up', () => {
  test('makes the source usable again and removes what is at the target', async () => {
    const { log, runtime } = await filledLog(11)
    for (let calls = 1; calls < 60; calls += 3) {
      const target = new MemoryLog()
      const cutOff = new CutOff({ calls, afterwards: calls % 2 === 0 })
      await move(log, target, { cutOff }).catch(() => undefined)
      if (!cutOff.isReached) break
      await withEnds(log, target, abandonMove)
      await openMemory({ log, runtime }).close()
      expect(target.isEmpty).toBe(true)
    }
  })

  test('is refused when everything has been moved', async () => {
    const { log } = await filledLog(12)
    const target = new MemoryLog()
    await move(log, target)
    await expect(withEnds(log, target, abandonMove)).rejects.toMatchObject({ code: 'LOG_MOVED' })
  })

  test('is refused for a log of somebody else', async () => {
    const { log } = await filledLog(13)
    const { log: occupied, runtime } = await filledLog(14)
    await expect(withEnds(log, occupied, abandonMove)).rejects.toMatchObject({ code: 'LOG_OCCUPIED' })
    await openMemory({ log: occupied, runtime }).close()
  })
})

function countOf(places: readonly unknown[]): number {
  return (places as readonly { readonly records: readonly unknown[] }[]).reduce(
    (sum, { records }) => sum + records.length,
    0,
  )
}

/** After a cut at most one end can be opened, and none once the target has been begun and is not finished. */
async function checkNoneIsUsable(log: MemoryLog, target: MemoryLog, runtime: ManualRuntime): Promise<void> {
  const usable = [log, target].filter((each) => !each.isEmpty && opens(each, runtime))
  expect(usable.length).toBeLessThanOrEqual(1)
  if (usable.includes(log)) expect(target.isEmpty).toBe(true)
  for (const each of usable) await openMemory({ log: each, runtime }).close()
}

function opens(log: MemoryLog, runtime: ManualRuntime): boolean {
  try {
    void openMemory({ log, runtime }).close()
    return true
  } catch {
    return false
  }
}

async function checkIds(log: MemoryLog, runtime: ManualRuntime, entries: readonly Entry[]): Promise<void> {
  const engine = openMemory({ log, runtime })
  for (const entry of entries) {
    const [again] = await engine.append([entry])
    expect(again?.duplicate).toBe(true)
  }
  await engine.close()
}
