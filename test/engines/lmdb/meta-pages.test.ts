import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { newPageBytes as pageBytes } from '../../../src/engines/lmdb/database.ts'
import { currentMeta } from '../../../src/engines/lmdb/meta-pages.ts'
import { PageFile, pageHeaderBytes } from '../../../src/engines/lmdb/page-file.ts'
import { TestLog } from './opened.ts'

/** Where a page of LMDB's first two has its number of pages and its transaction. */
const at = { lastPage: pageHeaderBytes + 120, transaction: pageHeaderBytes + 128 }

let log: TestLog
let data: string
let lock: string

beforeEach(async () => {
  log = await TestLog.open({ runtime: realRuntime() })
  data = join(log.folder, 'data.mdb')
  lock = join(log.folder, 'lock.mdb')
})

afterEach(() => log.end())

/** Leaves the file as LMDB does when the last write of its last commit fails: the new tree under the number of the one before. */
function undoLastCommit(): number {
  const file = new PageFile(data)
  const { transaction, lastPage } = currentMeta(file)
  file.close()
  const bytes = readFileSync(data)
  const meta = bytes.subarray((transaction % 2) * pageBytes)
  meta.writeBigUInt64LE(BigInt(transaction - 2), at.transaction)
  const before = bytes.subarray(((transaction - 1) % 2) * pageBytes).readBigUInt64LE(at.lastPage)
  expect(before).toBeLessThanOrEqual(BigInt(lastPage))
  meta.writeBigUInt64LE(before, at.lastPage)
  writeFileSync(data, bytes)
  return transaction - 1
}

/** What the lock file says was committed last. */
function tellLastCommitted(transaction: number): void {
  const bytes = readFileSync(lock)
  bytes.writeBigUInt64LE(BigInt(transaction), 8)
  writeFileSync(lock, bytes)
}

describe('a log whose last commit failed as its process ended', () => {
  it('is opened, with all that was acknowledged before, and goes on', async () => {
    await log.append('one')
    await log.append('two')
    await log.close()
    // The last transaction of all is the one that gives the log up.
    tellLastCommitted(undoLastCommit())
    await log.reopen()
    expect(await log.texts()).toEqual(['one', 'two'])
    await log.append('three')
    await log.reopen()
    expect(await log.texts()).toEqual(['one', 'two', 'three'])
  })

  it.each([
    ['says that the commit was over', () => tellLastCommitted(undoLastCommit() + 1)],
    ['is of another time', () => tellLastCommitted(undoLastCommit() - 1)],
    ['is not there', () => undoLastCommit() && rmSync(lock)],
    ['is cut off', () => undoLastCommit() && writeFileSync(lock, readFileSync(lock).subarray(0, 9))],
  ])('is taken for damaged where the lock file %s', async (_, damage) => {
    await log.append('one')
    await log.close()
    damage()
    await expect(log.reopen()).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
  })
})
