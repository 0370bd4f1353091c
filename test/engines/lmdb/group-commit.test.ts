import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GroupCommit } from '../../../src/engines/lmdb/group-commit.ts'
import { type OpenedStore, openStore } from '../../../src/engines/lmdb/open-log.ts'
import { Writes } from '../../../src/engines/lmdb/writes.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { turn } from '../../../src/testing/turn.ts'
import { temporaryFolder } from './temporary-folder.ts'

const callers = 100
const callsOfEach = 40
const content = new Uint8Array(8)

let folder: ReturnType<typeof temporaryFolder>
let runtime: ManualRuntime
let opened: OpenedStore

beforeEach(async () => {
  folder = temporaryFolder()
  runtime = new ManualRuntime()
  opened = await openStore(folder.path, { runtime })
})

afterEach(async () => {
  await opened.close()
  folder.remove()
})

it('LMDB writes a transaction while the thread that put it together goes on', async () => {
  const written = () => readFileSync(join(folder.path, 'data.mdb')).includes('was written')
  const writes = new Writes()
  writes.put(Buffer.from('key'), Buffer.from('was written'))
  const durable = opened.store.write(writes)
  const sleeping = new Int32Array(new SharedArrayBuffer(4))
  for (let waits = 0; waits < 5000 && !written(); waits += 1) Atomics.wait(sleeping, 0, 0, 1)
  expect(written()).toBe(true)
  await durable
})

describe('callers who come back with their next step', () => {
  /** How many steps each transaction had when callers and the disk take so long, once that is known. */
  async function stepsOfTransactions(tookMs: {
    caller: number
    disk: number
    isBack?: () => Promise<void>
  }): Promise<number[]> {
    const transactions: number[] = []
    let steps = 0
    const commits = new GroupCommit(opened.store, runtime, {
      before: () => {
        steps = 0
      },
      staged: () => {
        transactions.push(steps)
        runtime.spawn('disk', async () => {
          await turn()
          runtime.advance(tookMs.disk)
        })
      },
      after: () => undefined,
    })
    const stage = (writes: Writes) => {
      steps += 1
      writes.put(content, content)
    }
    const caller = async () => {
      for (let call = 0; call < callsOfEach; call += 1) {
        await commits.submit({ sizeBytes: content.length, stage })
        runtime.advance(tookMs.caller)
        await tookMs.isBack?.()
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    await commits.idle()
    return transactions.slice(10, -10)
  }

  it('share transactions by halves where they take longer than the disk', async () => {
    const transactions = await stepsOfTransactions({ caller: 10, disk: 100 })
    expect(new Set(transactions)).toEqual(new Set([callers / 2]))
  })

  it('share all one transaction where the disk takes longer', async () => {
    const transactions = await stepsOfTransactions({ caller: 1, disk: 1000 })
    expect(new Set(transactions)).toEqual(new Set([callers]))
  })

  it('share transactions by halves where they are back in later turns, one after the other', async () => {
    const transactions = await stepsOfTransactions({ caller: 1, disk: 1000, isBack: turn })
    expect(new Set(transactions)).toEqual(new Set([callers / 2]))
  })

  it('are not waited for when they do not come', async () => {
    const commits = new GroupCommit(opened.store, runtime, {
      before: () => undefined,
      staged: () => undefined,
      after: () => undefined,
    })
    const step = { sizeBytes: content.length, stage: (writes: Writes) => writes.put(content, content) }
    const all = Array.from({ length: callers }, () => commits.submit(step))
    const late = all[0]?.then(() => commits.submit(step))
    await Promise.all(all)
    await late
  })
})
