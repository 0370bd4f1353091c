import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { recordBytes } from '../../../src/engines/lmdb/block.ts'
import { openDatabase, type RawDatabase } from '../../../src/engines/lmdb/database.ts'
import { logKey, openingKey, stateKey } from '../../../src/engines/lmdb/keys.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { sealBytes, sealJson } from '../../../src/engines/lmdb/sealed.ts'
import { type HashKey, halfSipHash } from '../../../src/log/half-sip-hash.ts'
import type { Claim } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { at, noLimits, TestLog } from './opened.ts'

const topicId = 1
const groupId = 1
let log: TestLog

beforeEach(async () => {
  log = await TestLog.open()
})

afterEach(async () => {
  await log.end()
})

/** Works on the closed log's database and opens the log again. */
async function tamper(work: (database: RawDatabase) => Promise<unknown>): Promise<void> {
  await log.close()
  const database = openDatabase(log.folder, false)
  await work(database)
  await database.close()
  await log.reopen()
}

/** Changes one bit of the last byte of a stored value. */
async function damage(key: Uint8Array): Promise<void> {
  await tamper(async (database) => {
    const value = Buffer.from(database.get(key) ?? [])
    const last = value.length - 1
    value.writeUInt8(value.readUInt8(last) ^ 1, last)
    await database.put(key, value)
  })
}

describe('a value of the state that is damaged', () => {
  it('is RECORD_CORRUPT with its key', async () => {
    const claim = await log.claim('readers')
    await claim.commit({ puts: [{ key: 'total', value: new Uint8Array([1, 2]) }], deletes: [], appends: [] })
    await damage(stateKey(groupId, at.partition, 'total'))
    const facts = { group: 'readers', partition: 1, key: 'total' }
    const after = await log.claim('readers')
    await expect(after.get(['total'])).rejects.toMatchObject({ code: 'RECORD_CORRUPT', facts })
    await expect(after.range({ from: '', to: 'z', limit: 9 })).rejects.toMatchObject({ facts })
    expect(await after.get(['other'])).toEqual([undefined])
  })
})

describe('ids', () => {
  it('are remembered when the log is opened again, and forgotten when their time is over', async () => {
    const [first] = await log.engine.append([log.entry('once', 'a')])
    await log.reopen()
    expect(await log.engine.append([log.entry('once', 'a')])).toEqual([{ ...first, duplicate: true }])
    await expect(log.engine.append([log.entry('other', 'a')])).rejects.toMatchObject({ code: 'ID_REUSED' })
    log.runtime.advance(10 * 60 * 1000)
    await log.reopen()
    expect(await log.engine.append([log.entry('once', 'a')])).toMatchObject([{ duplicate: false, offset: 1 }])
    await log.reopen()
    expect(await log.engine.append([log.entry('once', 'a')])).toMatchObject([{ duplicate: true, offset: 1 }])
  })

  it('are those of a topic that is made anew before they are looked for', async () => {
    await log.engine.append([log.entry('before', 'a')])
    const deleted = log.engine.deleteTopic('orders')
    const made = log.engine.createTopic('orders', {})
    const [first] = await log.engine.append([log.entry('after', 'a')])
    await Promise.all([deleted, made])
    expect(first).toMatchObject({ duplicate: false, offset: 0 })
    expect(await log.engine.append([log.entry('after', 'a')])).toEqual([{ ...first, duplicate: true }])
  })

  it('leave no rows behind when their time is over', async () => {
    for (let index = 0; index < 20; index += 1) await log.engine.append([log.entry('x', `id-${index}`)])
    log.runtime.advance(10 * 60 * 1000)
    await log.append('later')
    let rows = 0
    await tamper(async (database) => {
      for (const key of database.getKeys({ start: Buffer.from([7]), end: Buffer.from([8]) }))
        rows += key.length
    })
    expect(rows).toBe(0)
  })

  it('of a row that is damaged are forgotten, and the others are not', async () => {
    await log.engine.append([log.entry('one', 'a')])
    await log.engine.append([log.entry('two', 'b')])
    await damage(Buffer.from([7, 0, 0, 0, 0, 0, 0]))
    expect(await log.engine.append([log.entry('one', 'a'), log.entry('two', 'b')])).toMatchObject([
      { duplicate: false },
      { duplicate: true },
    ])
  })

  it('are known while the first record is on its way, and after it was trimmed', async () => {
    const appended = await Promise.all(
      Array.from({ length: 5 }, () => log.engine.append([log.entry('once', 'a')])),
    )
    expect(appended.flat().map(({ offset }) => offset)).toEqual([0, 0, 0, 0, 0])
    await log.engine.trim(at, { keepBytes: 0 })
    expect(await log.engine.append([log.entry('once', 'a')])).toMatchObject([{ offset: 0, duplicate: true }])
  })

  it('are not remembered where none may be', async () => {
    const other = await TestLog.open({ deduplicationMaxIds: 0 })
    try {
      for (const offset of [0, 1]) {
        expect(await other.engine.append([other.entry('x', 'a')])).toMatchObject([
          { offset, duplicate: false },
        ])
      }
    } finally {
      await other.end()
    }
  })
})

describe('searching by time and by size', () => {
  it('agrees with a scan of all records', async () => {
    const steps = fc.array(fc.record({ waitMs: fc.nat(3), bytes: fc.nat(400) }), {
      minLength: 1,
      maxLength: 60,
    })
    let topics = 0
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(200), fc.nat(8000), async (taken, afterMs, keepBytes) => {
        topics += 1
        const place = { topic: `search-${topics}`, partition: 0 }
        await log.engine.createTopic(place.topic, {})
        let timeMs = 1000
        const entries = taken.map(({ waitMs, bytes }) => {
          timeMs += waitMs
          return { ...place, value: new Uint8Array(bytes), timeMs }
        })
        await log.engine.append(entries)
        const expected = entries.findIndex((entry) => entry.timeMs >= 1000 + afterMs)
        expect(await log.engine.offsetAt(place, 1000 + afterMs)).toBe(expected < 0 ? taken.length : expected)
        const before = await log.engine.bounds(place)
        const start = await log.engine.trim(place, { keepBytes })
        const after = await log.engine.bounds(place)
        const removed = taken.slice(0, start).reduce((sum, { bytes }) => sum + recordBytes(bytes), 0)
        expect(after).toEqual({ start, end: taken.length, bytes: before.bytes - removed })
        expect(after.bytes).toBeLessThanOrEqual(keepBytes)
        const last = taken[start - 1]
        if (last !== undefined) expect(after.bytes + recordBytes(last.bytes)).toBeGreaterThan(keepBytes)
      }),
      { numRuns: 40 },
    )
  })
})

describe('trimming', () => {
  it('stops at what a group needs, also after the log was opened again', async () => {
    await log.append(...Array.from({ length: 20 }, (_, index) => `event ${index}`))
    const claim = await log.claim('readers')
    await claim.commit({ puts: [], deletes: [], appends: [], needs: { orders: 7, gone: 3 } })
    await log.reopen()
    expect(await log.engine.trim(at, { keepBytes: 0 })).toBe(7)
    await log.reopen()
    expect(await log.engine.bounds(at)).toMatchObject({ start: 7, end: 20 })
    const anew = await log.claim('readers')
    await anew.commit({ puts: [], deletes: [], appends: [], needs: { orders: 100 } })
    expect(await log.engine.trim(at, { keepBytes: 0 })).toBe(20)
    await log.reopen()
    expect(await log.engine.bounds(at)).toEqual({ start: 20, end: 20, bytes: 0 })
    expect(await log.append('next')).toMatchObject([{ offset: 20 }])
  })

  it('removes more records than one transaction takes', async () => {
    for (let index = 0; index < 6; index += 1) {
      await log.append(...Array.from({ length: 2000 }, () => 'x'))
    }
    expect(await log.engine.trim(at, { before: 11_500 })).toBe(11_500)
    expect((await log.texts(11_500)).length).toBe(500)
    await log.engine.deleteTopic('orders')
    let rows = 0
    await tamper(async (database) => {
      for (const key of database.getKeys({ start: Buffer.from([8]), end: Buffer.from([9]) }))
        rows += key.length
    })
    expect(rows).toBe(0)
  })
})

describe('a call that is too large', () => {
  it('is COMMIT_TOO_LARGE and changes nothing', async () => {
    const value = new Uint8Array(33 * 1024 * 1024)
    const entry = { ...at, value, timeMs: 1 }
    await expect(log.engine.append([entry, entry])).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' })
    const claim = await log.claim('readers')
    const puts = ['a', 'b'].map((key) => ({ key, value }))
    await expect(claim.commit({ puts, deletes: [], appends: [] })).rejects.toMatchObject({
      code: 'COMMIT_TOO_LARGE',
    })
    expect(await log.engine.bounds(at)).toMatchObject({ end: 0 })
  })
})

describe('a large value', () => {
  it('comes back as it was, among small ones', async () => {
    const values = [10, 5000, 40_000, 3_000_000, 20].map((size) => new Uint8Array(size).fill(size % 251))
    await log.engine.append(values.map((value) => ({ ...at, value: value.slice(), timeMs: 1 })))
    const { records } = await log.engine.read(at, 0, noLimits)
    for (const [index, value] of values.entries()) {
      expect(Buffer.compare(records[index]?.value ?? new Uint8Array(), value)).toBe(0)
    }
  })
})

describe('opening', () => {
  it('is LOG_IN_USE with the pid while this process has the folder open', async () => {
    await expect(openLmdb(log.folder, { runtime: new ManualRuntime() })).rejects.toMatchObject({
      code: 'LOG_IN_USE',
      facts: { pid: process.pid },
      message: expect.stringContaining(String(process.pid)),
    })
    await log.append('still works')
  })

  it('is STORAGE_FAILED with the folder where there is a file, or no database', async () => {
    const file = join(log.folder, 'file')
    writeFileSync(file, 'text')
    await expect(openLmdb(file, { runtime: log.runtime })).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      where: file,
    })
    const folder = join(log.folder, 'other')
    mkdirSync(folder)
    writeFileSync(join(folder, 'data.mdb'), 'no database '.repeat(2000))
    await expect(openLmdb(folder, { runtime: log.runtime })).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  it('refuses a log of another format, and says which version can read it', async () => {
    const rows = { format: 2, partitions: 2, deduplicationKey: [1, 2], lastTopicId: 0, lastGroupId: 0 }
    const reopened = tamper((database) => database.put(logKey, sealJson(rows)))
    await expect(reopened).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      where: log.folder,
      fix: expect.stringContaining('the version of Millrace that made it'),
      facts: { format: 2, known: 3 },
    })
  })

  it('takes a folder whose name has a dot in it', async () => {
    const engine = await openLmdb(join(log.folder, 'shop.v2'), { runtime: log.runtime })
    await engine.close()
    expect(readFileSync(join(log.folder, 'shop.v2', 'data.mdb')).length).toBeGreaterThan(0)
  })

  it('refuses a partition count that is none', async () => {
    for (const partitions of [0, 1.5, 70_000]) {
      await expect(openLmdb(log.folder, { runtime: log.runtime, partitions })).rejects.toBeInstanceOf(
        TypeError,
      )
    }
  })

  it('says that a log without fsync does not survive a loss of power', async () => {
    const fast = await TestLog.open({ unsafeNoSync: true })
    expect(fast.engine.capabilities.powerLossSafe).toBe(false)
    expect(log.engine.capabilities.powerLossSafe).toBe(true)
    await fast.append('event')
    expect(await fast.texts()).toEqual(['event'])
    await fast.end()
  })
})

describe('a log that somebody else has taken over', () => {
  /** Works on the log while another opening stands in place of ours. */
  async function whileTaken(work: () => Promise<void>): Promise<void> {
    const database = openDatabase(log.folder, false)
    const opening = database.get(openingKey(1)) ?? new Uint8Array()
    await database.remove(openingKey(1))
    await work()
    await database.put(openingKey(1), opening)
    await database.close()
  }

  it('takes no write, and nothing that was refused is there afterwards', async () => {
    await log.append('before')
    const claim = await log.claim('readers')
    const key = 'key'
    await whileTaken(async () => {
      const refused = { code: 'LOG_IN_USE' }
      await Promise.all([
        expect(log.engine.append([log.entry('refused', 'id')])).rejects.toMatchObject(refused),
        expect(log.engine.createTopic('refused', {})).rejects.toMatchObject(refused),
        expect(log.engine.trim(at, { keepBytes: 0 })).rejects.toMatchObject(refused),
        expect(log.engine.join('refused', { id: 'a' }, () => {})).rejects.toMatchObject(refused),
        expect(
          claim.commit({
            puts: [{ key, value: new Uint8Array(1) }],
            deletes: [],
            appends: [log.entry('refused')],
            needs: { orders: 1 },
          }),
        ).rejects.toMatchObject(refused),
      ])
      expect(claim.signal.aborted).toBe(true)
      await expect(claim.commit({ puts: [], deletes: [], appends: [] })).rejects.toMatchObject({
        code: 'NOT_OWNER',
      })
    })
    expect(await log.texts()).toEqual(['before'])
    expect(await log.engine.listTopics()).toHaveLength(1)
    await expect(log.engine.bounds({ topic: 'refused', partition: 0 })).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
    })
    expect(await log.engine.append([log.entry('after', 'id')])).toMatchObject([
      { offset: 1, duplicate: false },
    ])
    await log.engine.createTopic('refused', {})
    expect(await log.engine.trim(at, { keepBytes: 0 })).toBe(2)
    await log.reopen()
    expect(await (await log.claim('readers')).get([key])).toEqual([undefined])
    expect(await log.append('later')).toMatchObject([{ offset: 2 }])
  })

  it('is shared out again as soon as that succeeds', async () => {
    const claims: Claim[] = []
    await log.engine.join('readers', { id: 'member' }, (claim) => claims.push(claim))
    const first = claims.find(({ partition }) => partition === 0)
    await whileTaken(async () => {
      await expect(
        first?.commit({ puts: [{ key: 'k', value: new Uint8Array(1) }], deletes: [], appends: [] }),
      ).rejects.toMatchObject({ code: 'LOG_IN_USE' })
      await vi.waitUntil(() => log.runtime.sleeping > 0, { timeout: 60_000 })
    })
    expect(claims).toHaveLength(2)
    log.runtime.advance(1000)
    await vi.waitUntil(() => claims.length === 3, { timeout: 60_000 })
    expect(claims.at(-1)).toMatchObject({ partition: 0, epoch: 2 })
  })
})

describe('a log at its bound', () => {
  it('still answers what it has, and takes commits that drain it', async () => {
    const full = await TestLog.open({ maxBytes: 300_000 })
    try {
      await full.engine.append([full.entry('first', 'a')])
      const fill = async () => {
        for (;;) await full.append('x'.repeat(1500))
      }
      await expect(fill()).rejects.toMatchObject({ code: 'LOG_FULL' })
      expect(await full.engine.append([full.entry('first', 'a')])).toMatchObject([{ duplicate: true }])
      const claim = await full.claim('readers')
      const appends = [full.entry('y'.repeat(1500))]
      expect(await claim.commit({ puts: [], deletes: [], appends })).toHaveLength(1)
      await full.engine.trim(at, { keepBytes: 10_000 })
      await full.append('room again')
    } finally {
      await full.end()
    }
  })
})

describe('ids that share the half of their fingerprints that is kept in memory', () => {
  it('are told apart by the other half, on their way to the disk and behind it', async () => {
    await log.close()
    const database = openDatabase(log.folder, false)
    const row = Buffer.from(database.get(logKey) ?? []).subarray(sealBytes)
    await database.close()
    const { deduplicationKey: key } = JSON.parse(row.toString()) as { deduplicationKey: HashKey }
    const [one, other] = idsThatShareHalf(key)
    await log.reopen()
    const both = [log.entry('one', one), log.entry('other', other)]
    const first = await Promise.all(both.map((entry) => log.engine.append([entry])))
    expect(first.flat().map(({ offset, duplicate }) => ({ offset, duplicate }))).toEqual([
      { offset: 0, duplicate: false },
      { offset: 1, duplicate: false },
    ])
    for (const reopen of [false, true]) {
      if (reopen) await log.reopen()
      const again = await log.engine.append(both)
      expect(again.map(({ offset, duplicate }) => ({ offset, duplicate }))).toEqual([
        { offset: 0, duplicate: true },
        { offset: 1, duplicate: true },
      ])
    }
  })
})

/** Two of some hundred thousand ids share 32 bits of their hashes. */
function idsThatShareHalf(key: HashKey): [string, string] {
  const seen = new Map<number, string>()
  for (let index = 0; ; index += 1) {
    const id = `id-${index}`
    const { low } = halfSipHash(key, topicId, id)
    const earlier = seen.get(low)
    if (earlier !== undefined) return [earlier, id]
    seen.set(low, id)
  }
}
