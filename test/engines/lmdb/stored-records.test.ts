import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { recordBytes } from '../../../src/engines/lmdb/block.ts'
import { openDatabase, type RawDatabase } from '../../../src/engines/lmdb/database.ts'
import { blockKey } from '../../../src/engines/lmdb/keys.ts'
import { StagedRecords, sealStaged } from '../../../src/engines/lmdb/staged-records.ts'
import { at, noLimits, TestLog } from './opened.ts'

const topicId = 1
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

/** Changes one bit of a stored value, of its last byte unless told of which. */
async function damage(key: Uint8Array, position: (value: Buffer) => number = lastOf): Promise<void> {
  await tamper(async (database) => {
    const value = Buffer.from(database.get(key) ?? [])
    const at = position(value)
    value.writeUInt8(value.readUInt8(at) ^ 1, at)
    await database.put(key, value)
  })
}

const lastOf = (value: Buffer) => value.length - 1
/** A byte of what a block says of its records. */
const ofTheHead = () => 13
/** A byte of the value that has this text in it. */
const ofText = (text: string) => (value: Buffer) => value.indexOf(text)
/** The key of the block that ends with an offset. */
const keyOf = (lastOffset: number) => blockKey(topicId, at.partition, lastOffset)

describe('a record that is damaged', () => {
  it('is RECORD_CORRUPT with its place, and the records around it can be read', async () => {
    await log.append('zero', 'one', 'two')
    await damage(keyOf(2), ofText('one'))
    expect(await log.texts(0)).toEqual(['zero'])
    await expect(log.engine.read(at, 1, noLimits)).rejects.toMatchObject({
      code: 'RECORD_CORRUPT',
      facts: { topic: 'orders', partition: 1, offset: 1 },
    })
    expect(await log.texts(2)).toEqual(['two'])
  })

  it('is RECORD_CORRUPT by itself with all that it was appended with when their head is damaged', async () => {
    await log.append('zero')
    await log.append('one', 'two')
    await log.append('three')
    await damage(keyOf(2), ofTheHead)
    expect(await log.texts(0)).toEqual(['zero'])
    for (const offset of [1, 2]) {
      await expect(log.engine.read(at, offset, noLimits)).rejects.toMatchObject({
        code: 'RECORD_CORRUPT',
        facts: { offset },
      })
    }
    expect(await log.texts(3)).toEqual(['three'])
  })

  it('loses nothing where only a checksum of its block is damaged', async () => {
    await log.append('zero', 'one')
    for (const position of [2, 6]) {
      await damage(keyOf(1), () => position)
      expect(await log.texts(0)).toEqual(['zero', 'one'])
      await damage(keyOf(1), () => position)
    }
  })

  it('is found when a byte of the file has changed', async () => {
    await log.append('untouched', 'written-here')
    await log.close()
    const path = join(log.folder, 'data.mdb')
    const file = readFileSync(path)
    for (
      let found = file.indexOf('written-here');
      found >= 0;
      found = file.indexOf('written-here', found + 1)
    ) {
      file.write('W', found)
    }
    writeFileSync(path, file)
    await log.reopen()
    expect(await log.texts(0)).toEqual(['untouched'])
    await expect(log.engine.read(at, 1, noLimits)).rejects.toMatchObject({ code: 'RECORD_CORRUPT' })
  })

  it('does not take a later offset or size with it when it is the last one', async () => {
    await log.append('zero', 'one', 'two')
    const before = await log.engine.bounds(at)
    await damage(keyOf(2))
    expect(await log.engine.bounds(at)).toEqual(before)
    const [next] = await log.append('three')
    expect(next?.offset).toBe(3)
    expect(await log.texts(3)).toEqual(['three'])
  })

  it('does not take an offset with it when it is the last one and the head of its block is damaged', async () => {
    await log.append('zero')
    await log.append('one', 'two')
    await damage(keyOf(2), ofTheHead)
    expect(await log.engine.bounds(at)).toMatchObject({ start: 0, end: 3 })
    expect(await log.append('three')).toMatchObject([{ offset: 3 }])
    expect(await log.texts(3)).toEqual(['three'])
  })

  it('is RECORD_CORRUPT too when it is missing', async () => {
    await log.append('zero')
    await log.append('one', 'two')
    await log.append('three')
    await tamper((database) => database.remove(keyOf(2)))
    expect(await log.texts(0)).toEqual(['zero'])
    for (const offset of [1, 2]) {
      await expect(log.engine.read(at, offset, noLimits)).rejects.toMatchObject({ facts: { offset } })
    }
    expect(await log.texts(3)).toEqual(['three'])
  })

  it('does not stop the search by time, which all of a block whose head is damaged may be the answer of', async () => {
    for (const text of ['zero', 'one', 'two', 'three', 'four']) {
      await log.append(text)
      log.runtime.advance(100)
    }
    const start = log.runtime.now() - 500
    await damage(keyOf(0))
    for (const offset of [1, 2]) await damage(keyOf(offset), ofTheHead)
    expect(await log.engine.offsetAt(at, start + 300)).toBe(1)
    expect(await log.engine.offsetAt(at, start + 301)).toBe(4)
    expect(await log.engine.offsetAt(at, start + 401)).toBe(5)
  })
})

describe('records whose offsets skip', () => {
  /** Two blocks with offsets 3, 4, 9 and 20 to 22, as if they came from elsewhere; `0` is at the first of each. */
  beforeEach(async () => {
    const staged = [
      { offsets: [3, 4, 9], follows: 0, bytes: 0 },
      { offsets: [20, 21, 22], follows: 10, bytes: 3 * recordBytes(log.entry('3').value.length) },
    ].map(({ offsets, follows, bytes }) => {
      const records = new StagedRecords({ topicId, partition: at.partition, end: follows, bytes })
      for (const offset of offsets) records.add(offset, 1000 + offset, log.entry(`${offset % 10}`).value)
      return records
    })
    await tamper(async (database) => {
      for (const { key, value } of sealStaged(staged)) await database.put(key, value)
    })
  })

  it('are read from any offset on, at their own', async () => {
    const { records, next } = await log.engine.read(at, 0, noLimits)
    expect(records.map(({ offset }) => offset)).toEqual([3, 4, 9, 20, 21, 22])
    expect(next).toBe(23)
    expect(await log.texts(5)).toEqual(['9', '0', '1', '2'])
    expect(await log.texts(10)).toEqual(['0', '1', '2'])
    expect(await log.append('after')).toMatchObject([{ offset: 23 }])
  })

  it('are found by their time and their size, and trimmed', async () => {
    for (const [timeMs, offset] of [
      [0, 3],
      [1005, 9],
      [1010, 20],
      [1022, 22],
      [1023, 23],
    ] as const)
      expect(await log.engine.offsetAt(at, timeMs)).toBe(offset)
    const { bytes } = await log.engine.bounds(at)
    expect(await log.engine.trim(at, { keepBytes: (bytes * 4) / 6 })).toBe(9)
    expect(await log.texts(9)).toEqual(['9', '0', '1', '2'])
    expect(await log.engine.trim(at, { keepBytes: bytes / 2 })).toBe(20)
    expect(await log.engine.bounds(at)).toEqual({ start: 20, end: 23, bytes: bytes / 2 })
  })

  it('are RECORD_CORRUPT at their own offset', async () => {
    await damage(keyOf(9), ofText('"9"'))
    await expect(log.engine.read(at, 5, noLimits)).rejects.toMatchObject({ facts: { offset: 9 } })
    await damage(keyOf(22), ofTheHead)
    await expect(log.engine.read(at, 10, noLimits)).rejects.toMatchObject({ facts: { offset: 10 } })
  })
})
