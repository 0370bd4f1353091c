import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { windowBounds } from '../../src/bus/subscription.ts'
import { readLimits } from '../../src/bus/topic-reader.ts'
import { bench, Counted, gate, statusOf, upTo } from './support.ts'

const events = 6_000

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
})
