/**
 * Goal: what is durable can be read at any time, also between a commit's failure on LMDB's thread and the moment in which this thread
 * hears of it. Method: the descriptor by which LMDB writes the pages that make a commit hold is replaced by one that takes no
 * writes, and this thread does nothing until those pages have changed: LMDB puts something there once that has failed.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Claim } from '../../../src/log/port.ts'
import { turn } from '../../../src/testing/turn.ts'
import { at, noLimits, TestLog } from './opened.ts'

const descriptors = '/proc/self/fd'
/** The flag of a file whose writes are on the disk when they return, as Linux has it. */
const writesThrough = 0o10_000
/** Where the first page says how long pages are. */
const pageBytesAt = 48
/** Turns of the microtask queue in which the append is staged and handed to LMDB's thread. */
const turnsToBegin = 100
const mostLooks = 100_000
const possible = existsSync(descriptors)
if (!possible) console.warn('SKIPPED: a commit that fails, which takes the descriptors that Linux shows.')

let log: TestLog
let claim: Claim
let data: string

beforeEach(async () => {
  log = await TestLog.open()
  data = join(realpathSync(log.folder), 'data.mdb')
  await log.append('kept')
  claim = await log.claim('readers')
  await claim.commit({ puts: [{ key: 'kept', value: new Uint8Array([1]) }], deletes: [], appends: [] })
})

afterEach(async () => {
  await log.end()
})

function isCommitDescriptor(descriptor: number): boolean {
  try {
    const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
    const path = readlinkSync(join(descriptors, String(descriptor)))
    return path === data && (Number.parseInt(flags ?? '0', 8) & writesThrough) !== 0
  } catch {
    return false
  }
}

/** From now on LMDB's commits fail, until it opens the file again; it closes what stands in place of its descriptor. */
function failCommits(): void {
  const descriptor = readdirSync(descriptors).map(Number).find(isCommitDescriptor)
  if (descriptor === undefined) throw new Error('LMDB has no descriptor for its commits')
  closeSync(descriptor)
  const others: number[] = []
  for (let opened = openSync(data, 'r'); opened !== descriptor; opened = openSync(data, 'r'))
    others.push(opened)
  for (const other of others) closeSync(other)
}

/** The two pages of which each commit writes one. */
function firstPages(): Buffer {
  const file = readFileSync(data)
  return file.subarray(0, 2 * file.readUInt32LE(pageBytesAt))
}

/** What a call gives that is made when LMDB's thread has failed to commit an append, and before this thread hears of it. */
async function asCommitFails<T>(call: () => Promise<T>): Promise<T> {
  failCommits()
  await turn()
  const before = firstPages()
  const refused = expect(log.append('refused')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  for (let turns = 0; turns < turnsToBegin; turns += 1) await undefined
  let looks = 0
  while (firstPages().equals(before) && looks < mostLooks) looks += 1
  expect(looks).toBeLessThan(mostLooks)
  const [answer] = await Promise.all([call(), refused])
  return answer
}

it.runIf(possible)(
  'a record that is durable is read as another commit fails, and the next one comes behind it',
  async () => {
    const { records } = await asCommitFails(() => log.engine.read(at, 0, noLimits))
    expect(records).toHaveLength(1)
    await log.append('later')
    expect(await log.texts()).toEqual(['kept', 'later'])
  },
)

it.runIf(possible)('a state that is durable is read as another commit fails', async () => {
  const values = await asCommitFails(() => claim.range({ from: '', to: 'z', limit: 9 }))
  expect(values).toMatchObject([{ key: 'kept' }])
})
