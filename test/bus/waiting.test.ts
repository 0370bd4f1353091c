import { describe, expect, it } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { maxWaitingPublishers, WaitingPublishers } from '../../src/bus/waiting-publishers.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { openMemory } from '../../src/engines/memory/index.ts'
import { bench, Counted, Echoed, gate } from './support.ts'

const publishAndWait = (
  running: RunningApp,
  n: number,
  options: { id?: string; waitTimeoutMs?: number } = {},
) => running.publish(Counted, { key: `k${n}`, n }, { wait: 'handled', ...options })

describe('publish that waits', () => {
  it('resolves once every matching handler has handled the event, and not before', async () => {
    const b = bench()
    const { opened: promise, open } = gate()
    const order: string[] = []
    const fast = on(Counted, { name: 'fast' }, () => order.push('fast'))
    const slow = on(Counted, { name: 'slow' }, async () => {
      await promise
      order.push('slow')
    })
    const other = on(Echoed, { name: 'other' }, () => order.push('other'))
    const running = await b.start({ handlers: [fast, slow, other] })
    const published = publishAndWait(running, 1).then(() => order.push('resolved'))
    await b.until(() => order.includes('fast'))
    await b.pass(1_000)
    expect(order).toEqual(['fast'])
    open()
    await b.drive(published)
    expect(order).toEqual(['fast', 'slow', 'resolved'])
  })

  it('does not wait for what handlers emit, nor for handlers that do not match', async () => {
    const b = bench()
    const { opened: promise, open } = gate()
    const first = on(Counted, { name: 'first' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const second = on(Echoed, { name: 'second' }, () => promise)
    const running = await b.start({ handlers: [first, second] })
    await b.drive(publishAndWait(running, 1))
    open()
  })

  it('resolves at once when no handler matches', async () => {
    const b = bench()
    const running = await b.start({ handlers: [] })
    await b.drive(publishAndWait(running, 1))
  })

  it('waits through retries', async () => {
    const b = bench()
    let attempts = 0
    const handler = on(Counted, { name: 'handler' }, (_, ctx) => {
      attempts = ctx.attempt
      if (attempts < 3) throw new Error('not yet')
    })
    const running = await b.start({ handlers: [handler] })
    await b.drive(publishAndWait(running, 1))
    expect(attempts).toBe(3)
  })

  it.each(['skip', 'park'] as const)(
    'is HANDLER_FAILED when a handler gives up, whenExhausted %s',
    async (whenExhausted) => {
      const b = bench()
      const handler = on(Counted, { name: 'handler', whenExhausted }, () => {
        throw new TerminalError('never')
      })
      const running = await b.start({ handlers: [handler] })
      await expect(b.drive(publishAndWait(running, 1))).rejects.toMatchObject({
        code: 'HANDLER_FAILED',
        facts: { handler: 'handler', error: { message: 'never' } },
      })
    },
  )

  it('is WAIT_TIMEOUT with the place when it takes too long, and the event is handled all the same', async () => {
    const b = bench()
    const { opened: promise, open } = gate()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, async ({ data }) => {
      await promise
      handled.push(data.n)
    })
    const running = await b.start({ handlers: [handler] })
    await expect(b.drive(publishAndWait(running, 1, { waitTimeoutMs: 200 }))).rejects.toMatchObject({
      code: 'WAIT_TIMEOUT',
      facts: { topic: 'shop', partition: 0, offset: 0 },
    })
    open()
    await b.settle(running)
    expect(handled).toEqual([1])
  })

  it('is ALREADY_PUBLISHED for an id that is in the log', async () => {
    const b = bench()
    const running = await b.start({ handlers: [on(Counted, { name: 'handler' }, () => {})] })
    await b.drive(publishAndWait(running, 1, { id: 'one' }))
    await expect(b.drive(publishAndWait(running, 1, { id: 'one' }))).rejects.toMatchObject({
      code: 'ALREADY_PUBLISHED',
    })
  })

  it('works when the handler runs in another process', async () => {
    const b = bench()
    const ranIn = new Set<number>()
    const handlerOf = (process: number) => on(Counted, { name: 'handler' }, () => ranIn.add(process))
    const one = await b.start({ partitions: 8, handlers: [handlerOf(1)] })
    const two = await b.start({ partitions: 8, handlers: [handlerOf(2)] })
    for (let n = 0; n < 24; n += 1) await b.drive(publishAndWait(n % 2 === 0 ? one : two, n))
    expect(ranIn).toEqual(new Set([1, 2]))
  })

  it('ends when the process stops', async () => {
    const b = bench()
    const { opened: promise, open } = gate()
    const running = await b.start({ handlers: [on(Counted, { name: 'handler' }, () => promise)] })
    const published = publishAndWait(running, 1)
    await b.pass(100)
    const stopped = running.stop()
    await expect(b.drive(published)).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    open()
    await b.drive(stopped)
  })

  it('cannot be combined with a delay', async () => {
    const b = bench()
    const running = await b.start({ handlers: [] })
    await expect(
      running.publish(Counted, { key: 'a', n: 1 }, { wait: 'handled', delay: 10 }),
    ).rejects.toThrow(TypeError)
  })
})

describe('those who wait', () => {
  it('are bounded: one more is OVERLOADED until another has been told', async () => {
    const b = bench()
    const { runtime, log } = b
    const engine = openMemory({ runtime, log, partitions: 1 })
    await b.drive(engine.createTopic('replies', {}))
    const stop = new AbortController()
    const place = { topic: 'replies', partition: 0 }
    const waiting = new WaitingPublishers({
      engine,
      runtime,
      logger: silentLogger,
      place,
      signal: stop.signal,
    })
    const first = await b.drive(waiting.begin(['handler']))
    for (let count = 1; count < maxWaitingPublishers; count += 1) await waiting.begin(['handler'])
    await expect(waiting.begin(['handler'])).rejects.toMatchObject({ code: 'OVERLOADED', retryable: true })
    first.end()
    await b.drive(waiting.begin(['handler']))
    stop.abort()
  })
})
