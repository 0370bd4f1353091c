import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { windowBounds } from '../../src/bus/subscription.ts'
import { readLimits } from '../../src/bus/topic-reader.ts'
import { bench, Counted, gate, statusOf, upTo } from './support.ts'

const events = 6_000

function stackDepth(): number {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1_000
  const { stack = '' } = new Error('here')
  Error.stackTraceLimit = limit
  return stack.split('\n').length
}

describe('a backlog behind a slow handler', () => {
  it('stays in the log: no more is held than what is soon to run', async () => {
    const b = bench()
    const hung = gate()
    let handled = 0
    const handler = on(Counted, { name: 'handler', concurrency: 2, timeoutMs: 3_600_000 }, async () => {
      await hung.opened
      handled += 1
    })
    const process = await b.start({ handlers: [handler] })
    for (let n = 0; n < events; n += 500) {
      await Promise.all(upTo(500).map((m) => process.publish(Counted, { key: `k${m}`, n: n + m })))
    }
    await b.until(async () => (await statusOf(process, 'handler')).waiting >= windowBounds.ahead, {
      stepMs: 1,
    })
    const { waiting, lag } = await statusOf(process, 'handler')
    expect(lag).toBe(events)
    expect(waiting).toBeLessThanOrEqual(windowBounds.ahead + readLimits.records)
    hung.open()
    await b.settle(process)
    expect(handled).toBe(events)
  })

  it('is worked off by a handler that waits for nothing, with no attempt on the stack of another', async () => {
    const b = bench()
    const hung = gate()
    const handled: number[] = []
    let deepest = 0
    const handler = on(
      Counted,
      { name: 'handler', concurrency: 1, timeoutMs: 3_600_000 },
      ({ data: { n } }) => {
        handled.push(n)
        deepest = Math.max(deepest, stackDepth())
        return n === 1 ? hung.opened : undefined
      },
    )
    const process = await b.start({ handlers: [handler] })
    for (let n = 0; n < events; n += 500) {
      await Promise.all(upTo(500).map((m) => process.publish(Counted, { key: `k${n + m}`, n: n + m })))
    }
    await b.until(async () => (await statusOf(process, 'handler')).waiting >= windowBounds.ahead, {
      stepMs: 1,
    })
    hung.open()
    await b.settle(process)
    expect(handled).toEqual(upTo(events))
    expect(deepest).toBeLessThan(100)
  })
})
