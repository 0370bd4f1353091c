import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../../src/core/real-runtime.ts'
import { Block } from '../../../../src/engines/lmdb/block.ts'
import type { RawDatabase } from '../../../../src/engines/lmdb/database.ts'
import {
  allOf,
  blockKey,
  epochKey,
  groupKey,
  idsKey,
  logKey,
  needKey,
  placeKey,
  stateKey,
  topicKey,
} from '../../../../src/engines/lmdb/keys.ts'
import { seal, sealJson } from '../../../../src/engines/lmdb/sealed.ts'
import { verifyLmdb } from '../../../../src/engines/lmdb/verify/verify.ts'
import type { StateRow, VerificationProgress } from '../../../../src/log/verification.ts'
import { at, TestLog } from '../opened.ts'
import { blockOfOne, digestOf, findingsOf, flip, rowOf, tamper } from './damaged-log.ts'

const topicId = 1
const groupId = 1
/** The key of the block that ends with an offset. */
const keyOf = (offset: number) => blockKey(topicId, at.partition, offset)
/** Where the value of a block's only record begins. */
const firstValueAt = 44

let log: TestLog

/** Ten records in blocks of their own of which two are trimmed, two of them with ids, and a group with some state. */
beforeEach(async () => {
  log = await TestLog.open()
  for (const text of ['0', '1', '2', '3', '4', '5', '6', '7']) await log.append(text)
  await log.engine.append([log.entry('8', 'id-8')])
  await log.engine.append([log.entry('9', 'id-9')])
  const claim = await log.claim('shop')
  const value = new TextEncoder().encode('{"left":3}')
  await claim.commit({
    puts: [{ key: 'state/a/b/c', value }],
    deletes: [],
    appends: [],
    needs: { orders: 2 },
  })
  await log.engine.trim(at, { before: 2 })
  await log.close()
})

afterEach(() => log.end())

const tampered = async (change: Parameters<typeof tamper>[1]) => {
  await tamper(log.folder, change)
  return findingsOf(log.folder)
}

describe('a log that is whole', () => {
  it('has no findings, and is not changed', async () => {
    const before = digestOf(log.folder)
    expect(await findingsOf(log.folder)).toEqual([])
    expect(digestOf(log.folder)).toBe(before)
  })

  it('is seen to its last row', async () => {
    let last: VerificationProgress | undefined
    const onProgress = (progress: VerificationProgress) => {
      last = { ...progress }
    }
    await findingsOf(log.folder, { onProgress })
    expect(last).toMatchObject({ records: 8, stateValues: 1, rows: last?.totalRows })
  })

  it('has its state checked, with the bounds of its places', async () => {
    const seen: unknown[] = []
    const checkState = ({ value, ...row }: StateRow, boundsOf: (place: typeof at) => unknown) => {
      seen.push({ ...row, value: Buffer.from(value).toString() }, boundsOf(at))
      seen.push(boundsOf({ topic: 'orders', partition: 0 }), boundsOf({ topic: 'other', partition: 0 }))
      return []
    }
    await findingsOf(log.folder, { checkState })
    expect(seen).toEqual([
      { group: 'shop', partition: 1, key: 'state/a/b/c', value: '{"left":3}' },
      { start: 2, end: 10 },
      { start: 0, end: 0 },
      undefined,
    ])
  })

  it('may have been made by an opening that was killed before it wrote anything', async () => {
    const findings = await tampered(async (database) => {
      const { end } = allOf('state')
      for (const key of database.getKeys({ start: logKey, end })) await database.remove(key)
    })
    expect(findings).toEqual([])
  })

  it('is LOG_IN_USE while this process has it open, and cannot be opened while it is verified', async () => {
    await log.reopen()
    await expect(findingsOf(log.folder)).rejects.toMatchObject({ code: 'LOG_IN_USE' })
    await log.close()
    await tamper(log.folder, flip(keyOf(4), firstValueAt + 3))
    const findings = verifyLmdb(log.folder, { runtime: realRuntime() })
    await findings.next()
    await expect(log.reopen()).rejects.toMatchObject({ code: 'LOG_IN_USE' })
    await findings.return()
    await log.reopen()
  })
})

describe('a record that is damaged', () => {
  it('is found with its place by one bit that has changed', async () => {
    const findings = await tampered(flip(keyOf(4), firstValueAt + 3))
    expect(findings).toMatchObject([{ kind: 'record-damaged', severity: 'damage', where: 'orders/1@4' }])
  })

  it('is found also when it was cut, without blame for the next one', async () => {
    const findings = await tampered((database) =>
      database.put(keyOf(4), rowOf(database, keyOf(4)).subarray(0, 50)),
    )
    expect(findings).toMatchObject([{ kind: 'record-damaged', where: 'orders/1@4' }])
  })

  it('is one finding each, however slowly they are taken', async () => {
    await tamper(log.folder, async (database) => {
      for (const offset of [3, 6, 9]) await flip(keyOf(offset), firstValueAt)(database)
    })
    const places: string[] = []
    for await (const { where } of verifyLmdb(log.folder, { runtime: realRuntime() })) {
      for (let turn = 0; turn < 5; turn += 1) await realRuntime().sleep(0)
      places.push(where)
    }
    expect(places).toEqual(['orders/1@3', 'orders/1@6', 'orders/1@9'])
  })

  it('is found when it is missing, in the middle and at the start', async () => {
    const findings = await tampered(async (database) => {
      for (const offset of [2, 5, 6]) await database.remove(keyOf(offset))
    })
    expect(findings).toMatchObject([
      { kind: 'record-missing', where: 'orders/1@2', problem: 'There is no record at 2.' },
      { kind: 'record-missing', where: 'orders/1@5', problem: 'There is no record at 5 to 6.' },
    ])
  })

  it('is found when its time is before that of the last one', async () => {
    const findings = await tampered((database) => rewrite(database, 5, { timeMs: -1 }))
    expect(findings).toMatchObject([{ kind: 'record-time', where: 'orders/1@5' }])
  })

  it('is found when the bytes before it are not those that are before it', async () => {
    const findings = await tampered((database) => rewrite(database, 5, { bytes: 1 }))
    expect(findings).toMatchObject([{ kind: 'record-size', where: 'orders/1@5' }])
  })

  it('is found when its block says that it follows another one', async () => {
    const findings = await tampered((database) => rewrite(database, 5, { end: 4 }))
    expect(findings).toMatchObject([{ kind: 'row-invalid', where: 'orders/1@5' }])
  })

  it('is found when it should have been removed', async () => {
    const row = blockOfOne(keyOf(1), { offset: 1, timeMs: 0, text: 'old' }, { end: 1, bytes: 0 })
    const findings = await tampered((database) => database.put(keyOf(1), row))
    expect(findings).toMatchObject([{ kind: 'record-below-start', where: 'orders/1@1' }])
  })

  it('is found when its row is that of another one', async () => {
    const findings = await tampered((database) => database.put(keyOf(5), rowOf(database, keyOf(6))))
    expect(findings).toMatchObject([{ kind: 'record-damaged', where: 'orders/1@5' }])
  })
})

describe('a block of several records', () => {
  beforeEach(async () => {
    await log.reopen()
    await log.append('10', '11', '12', '13')
    await log.append('14')
    const claim = await log.claim('shop')
    await claim.commit({ puts: [], deletes: [], appends: [], needs: { orders: 11 } })
    await log.engine.trim(at, { before: 11 })
    await log.close()
  })

  const lengthOfHead = 28 + 4 * 16

  it('has no findings where the place starts within it', async () => {
    expect(await findingsOf(log.folder)).toEqual([])
  })

  it('loses one record to one bit of it', async () => {
    const findings = await tampered((database) => {
      const position = Buffer.from(rowOf(database, keyOf(13))).indexOf('"12"')
      return flip(keyOf(13), position)(database)
    })
    expect(findings).toMatchObject([{ kind: 'record-damaged', where: 'orders/1@12' }])
  })

  it('loses all of them, each of which is named, to one bit of its head', async () => {
    for (const position of [9, 13, 30, lengthOfHead - 1]) {
      const findings = await tampered(flip(keyOf(13), position))
      await tamper(log.folder, flip(keyOf(13), position))
      const where = ['orders/1@11', 'orders/1@12', 'orders/1@13']
      expect(findings.map((finding) => finding.where)).toEqual(where)
    }
  })

  it('loses none to one bit of its checksums, and says so of the first', async () => {
    expect(await tampered(flip(keyOf(13), 2))).toMatchObject([
      { kind: 'block-damaged', where: 'orders/1@13', fix: expect.stringContaining('no record is lost') },
    ])
    await tamper(log.folder, flip(keyOf(13), 2))
    expect(await tampered(flip(keyOf(13), 6))).toEqual([])
  })

  it('is found when it is missing, with what is missing of it', async () => {
    const findings = await tampered((database) => database.remove(keyOf(13)))
    expect(findings).toMatchObject([{ problem: 'There is no record at 11 to 13.' }])
  })
})

/** Writes the block of one record anew, with something else in it. */
function rewrite(
  database: RawDatabase,
  offset: number,
  change: { timeMs?: number; bytes?: number; end?: number },
): Promise<unknown> {
  const key = keyOf(offset)
  const value = rowOf(database, key)
  const block = Block.open({ key, value })
  if (block === undefined) throw new Error('the block is damaged')
  const { timeMs = block.timeMsAt(0), bytes = block.bytesBeforeAt(0), end = offset } = change
  const text = Buffer.from(
    value.subarray(firstValueAt, firstValueAt + (block.valueAt(0)?.length ?? 0)),
  ).toString()
  return database.put(key, blockOfOne(key, { offset, timeMs, text }, { end, bytes }))
}

describe('a row of the catalog that is damaged', () => {
  it.each([
    ['log', logKey, 'log'],
    ['topic', topicKey(topicId), 'topic #1'],
    ['group', groupKey(groupId), 'group #1'],
    ['place', placeKey(topicId, at.partition), 'start of orders/1'],
    ['need', needKey(topicId, at.partition, groupId), 'need of group shop for orders/1'],
    ['epoch', epochKey(groupId, at.partition), 'epoch of shop/1'],
  ])('is found by its checksum: %s', async (_, key, where) => {
    const findings = await tampered(flip(key, 6))
    expect(findings).toEqual([expect.objectContaining({ kind: 'row-damaged', severity: 'damage', where })])
  })

  it.each([
    ['log', logKey, 'log'],
    ['place', placeKey(topicId, at.partition), 'start of orders/1'],
    ['need', needKey(topicId, at.partition, groupId), 'need of group shop for orders/1'],
    ['epoch', epochKey(groupId, at.partition), 'epoch of shop/1'],
  ])('is found by what it says: %s', async (_, key, where) => {
    const findings = await tampered((database) => database.put(key, sealJson({ start: 'x' })))
    expect(findings).toEqual([expect.objectContaining({ kind: 'row-invalid', where })])
  })

  it('is found when it is gone: what belonged to it is one finding for each kind', async () => {
    const findings = await tampered((database) => database.remove(topicKey(topicId)))
    const common = { kind: 'row-orphaned', severity: 'damage', where: 'topic #1' }
    expect(findings).toMatchObject([
      { ...common, problem: "Nothing in the catalog knows 1 row of kind 'place'." },
      { ...common, problem: "Nothing in the catalog knows 8 rows of kind 'block'." },
      { ...common, problem: "Nothing in the catalog knows 1 row of kind 'need'." },
    ])
  })

  it('is found when the row about the log is gone', async () => {
    const findings = await tampered((database) => database.remove(logKey))
    expect(findings).toMatchObject([{ kind: 'row-missing', where: 'log' }])
  })
})

describe('a row that is of no kind', () => {
  it('is found by the count of all rows', async () => {
    const findings = await tampered((database) => database.put(Buffer.from([77]), sealJson({})))
    expect(findings).toMatchObject([{ kind: 'pages-damaged', where: 'data.mdb' }])
  })
})

describe('a topic whose deletion was cut off', () => {
  it('has leftovers, which harm nothing', async () => {
    const findings = await tampered((database) =>
      database.put(topicKey(topicId), sealJson({ name: 'orders', options: {}, deleting: true })),
    )
    expect(findings.map(({ severity }) => severity)).toEqual(['leftover', 'leftover', 'leftover'])
    await log.reopen()
    await log.close()
    expect(await findingsOf(log.folder)).toEqual([])
  })
})

describe('a deduplication row that is damaged', () => {
  it('is found by its checksum', async () => {
    const findings = await tampered(flip(idsKey(1), 20))
    expect(findings).toMatchObject([{ kind: 'deduplication-damaged', where: 'deduplication row 1' }])
  })

  it('is found when it was cut, also by whoever wrote the checksum anew', async () => {
    const findings = await tampered(async (database) => {
      await database.put(idsKey(0), rowOf(database, idsKey(0)).subarray(0, 20))
      await database.put(idsKey(1), seal(rowOf(database, idsKey(1)).subarray(4, 20)))
    })
    expect(findings).toMatchObject([
      { kind: 'deduplication-damaged', where: 'deduplication row 0' },
      { kind: 'deduplication-damaged', where: 'deduplication row 1' },
    ])
  })

  it('is found when it names a record that was never there', async () => {
    const findings = await tampered((database) => {
      const content = Buffer.from(rowOf(database, idsKey(1)).subarray(4))
      content.writeUIntBE(500, 8 + 14, 6)
      return database.put(idsKey(1), seal(content))
    })
    expect(findings).toMatchObject([
      { kind: 'deduplication-invalid', problem: expect.stringContaining('orders/1@500') },
    ])
  })

  it('is found when one is missing', async () => {
    const findings = await tampered(async (database) => {
      await database.put(idsKey(7), rowOf(database, idsKey(1)))
    })
    expect(findings).toMatchObject([{ kind: 'deduplication-gap', where: 'deduplication row 7' }])
  })
})

describe('a value of the state that is damaged', () => {
  it('is found with its group, partition and key', async () => {
    const findings = await tampered(flip(stateKey(groupId, at.partition, 'state/a/b/c'), 5))
    expect(findings).toMatchObject([{ kind: 'state-damaged', where: 'shop/1: state/a/b/c' }])
  })

  it('is found when its group is gone', async () => {
    const findings = await tampered((database) => database.remove(groupKey(groupId)))
    expect(findings.map(({ kind, where }) => `${kind} ${where}`)).toContain('row-orphaned group #1')
    expect(findings.map(({ problem }) => problem)).toContain(
      "Nothing in the catalog knows 1 row of kind 'state'.",
    )
  })
})
