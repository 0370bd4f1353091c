import { flushCompileCache } from 'node:module'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { turn } from '../../../src/testing/turn.ts'
import { type Answer, Driver } from './driver.ts'
import { type Call, deduplicationWindowMs, type Operation, partitions } from './operations.ts'

/** What the parent asks of the process that has the LMDB log open. */
export type Request = { readonly nowMs: number } & (
  | { readonly kind: 'open'; readonly folder: string; readonly seed: number }
  | { readonly kind: 'reopen' | 'snapshot' | 'close' }
  | { readonly kind: 'perform'; readonly operation: Operation }
  | { readonly kind: 'fly'; readonly calls: readonly Call[] }
)

/** What the process says: an answer of a call in flight, or that what was asked for is done. */
export type Reply =
  | { readonly kind: 'answer'; readonly call: number; readonly answer: Answer }
  | { readonly kind: 'done'; readonly result: unknown; readonly epochs: readonly number[] }
  | { readonly kind: 'broken'; readonly reason: string }

let runtime = new ManualRuntime()
let folder = ''
let driver: Driver | undefined

function say(reply: Reply): void {
  process.send?.(reply)
}

async function open(): Promise<Driver> {
  return Driver.on(await openLmdb(folder, { runtime, partitions, deduplicationWindowMs }))
}

function opened(): Driver {
  if (driver === undefined) throw new Error('the log is not open')
  return driver
}

async function handle(request: Request): Promise<unknown> {
  switch (request.kind) {
    case 'open':
      folder = request.folder
      runtime = new ManualRuntime({ nowMs: request.nowMs, seed: request.seed })
      driver = await open()
      return
    case 'reopen':
      await opened().close()
      driver = await open()
      return
    case 'close':
      return opened().close()
    case 'snapshot':
      return opened().snapshot()
    case 'perform':
      return opened().perform(request.operation)
    case 'fly':
      return fly(request.calls)
  }
}

/** Makes calls without waiting for the answers of those before. */
async function fly(calls: readonly Call[]): Promise<void> {
  const bound: (() => Promise<Answer>)[] = []
  for (const { operation } of calls) bound.push(await opened().bind(operation))
  const answers: Promise<void>[] = []
  for (const [index, make] of bound.entries()) {
    const turns = calls[index]?.turns ?? 0
    for (let passed = 0; passed < turns; passed += 1) await turn()
    answers.push(make().then((answer) => say({ kind: 'answer', call: index, answer })))
  }
  await Promise.all(answers)
}

// One that is killed has no other occasion to keep what it has compiled.
flushCompileCache()

process.on('message', async (request: Request) => {
  try {
    runtime.set(request.nowMs)
    const result = (await handle(request)) ?? null
    if (runtime.failures.length > 0) throw runtime.failures[0]
    say({ kind: 'done', result, epochs: driver?.epochs() ?? [] })
  } catch (error) {
    say({ kind: 'broken', reason: String((error as Error).stack) })
  }
})
