import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import type { ObservedPlace } from '../../src/bus/observers.ts'
import type { Event } from '../../src/core/event.ts'
import { Aside, bench, Counted, Echoed, gate, publish, upTo } from './support.ts'

describe('watch', () => {
  it('tells of events that this process has published, emitted or accepted, once they are durable', async () => {
    const b = bench()
    const seen: [Event, ObservedPlace][] = []
    const echo = on(Counted, { name: 'echo' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const running = await b.start({ handlers: [echo] })
    running.watch([Counted, Echoed], (event, at) => seen.push([event, at]))
    await publish(running, 'a', 1)
    const outside = { specversion: '1.0' as const, id: 'o', source: 'outside', type: Counted.type }
    await b.drive(running.accept([{ ...outside, data: { key: 'a', n: 2 } }]))
    await b.settle(running)
    const stored = await b.events()
    expect(seen.map(([{ id }]) => id).toSorted()).toEqual(stored.map(({ id }) => id).toSorted())
    expect(seen[0]).toMatchObject([
      { type: Counted.type, data: { key: 'a', n: 1 } },
      { topic: 'shop', partition: 0, offset: 0 },
    ])
  })

  it('is not told before the event is durable, nor of one that is refused', async () => {
    const b = bench()
    let isDown = true
    const running = await b.start({
      fault: (name) => (isDown && name === 'append:apply' ? new Error('the disk is away') : undefined),
    })
    const seen: number[] = []
    running.watch(Counted, ({ data }) => seen.push(data.n))
    await expect(b.drive(running.publish(Counted, { key: 'a', n: 1 }))).rejects.toThrow()
    isDown = false
    await publish(running, 'a', 2)
    await b.quiet()
    expect(seen).toEqual([2])
  })

  it('is told of its types only, not of a repeated publish, and of a delayed event when it is due', async () => {
    const b = bench()
    const running = await b.start()
    const seen: number[] = []
    running.watch(Counted, ({ data }) => seen.push(data.n))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { id: 'one' }))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { id: 'one' }))
    await b.drive(running.publish(Aside, { key: 'a', n: 2 }))
    await b.drive(running.publish(Counted, { key: 'a', n: 3 }, { delay: 60_000 }))
    await b.quiet()
    expect(seen).toEqual([1])
    await b.until(() => seen.length > 1, { stepMs: 1_000 })
    expect(seen).toEqual([1, 3])
  })

  it('is told of what another process appends by nobody', async () => {
    const b = bench()
    const one = await b.start()
    const other = await b.start()
    const seen: number[] = []
    one.watch(Counted, ({ data }) => seen.push(data.n))
    await publish(other, 'a', 1)
    await publish(one, 'a', 2)
    await b.quiet()
    expect(seen).toEqual([2])
  })

  it('goes on when an observer throws or rejects, which is counted and logged, and nobody else notices', async () => {
    const b = bench()
    const lines: string[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (_: object, line: string) => lines.push(line) }
    const running = await b.start({ options: { logger } })
    const seen: number[] = []
    const failing = running.watch(Counted, ({ data }) => {
      if (data.n === 1) throw new Error('thrown')
      return Promise.reject(new Error('rejected'))
    })
    running.watch(Counted, ({ data }) => seen.push(data.n))
    await publish(running, 'a', 1, 3)
    await b.quiet()
    expect(seen).toEqual([1, 2, 3])
    expect(failing.counts).toEqual({ observed: 3, dropped: 0, failed: 3 })
    expect(lines).toEqual(['an observer failed'])
  })

  it('drops what a slow observer has no room for, counted and logged, and does not hold up publishing', async () => {
    const b = bench()
    const { opened, open } = gate()
    const lines: string[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (_: object, line: string) => lines.push(line) }
    const running = await b.start({ options: { logger } })
    const seen: number[] = []
    const watch = running.watch(
      Counted,
      async ({ data }) => {
        seen.push(data.n)
        await opened
      },
      { maxWaiting: 3 },
    )
    for (const n of upTo(10)) await publish(running, 'a', n)
    await b.quiet()
    expect(watch.counts).toEqual({ observed: 1, dropped: 6, failed: 0 })
    expect(lines).toEqual(['an observer is too slow: events are dropped'])
    open()
    await b.quiet()
    expect(seen).toEqual([1, 2, 3, 4])
    await publish(running, 'a', 11)
    await b.quiet()
    expect(seen.at(-1)).toBe(11)
  })

  it('ends when it is stopped, by its handle, by using, by its signal, and with the application', async () => {
    const b = bench()
    const running = await b.start()
    const seen: string[] = []
    const controller = new AbortController()
    const stopped = running.watch(Counted, () => seen.push('stopped'))
    running.watch(Counted, () => seen.push('aborted'), { signal: controller.signal })
    running.watch(Counted, () => seen.push('never'), { signal: AbortSignal.abort() })
    {
      using _scoped = running.watch(Counted, () => seen.push('scoped'))
      await publish(running, 'a', 1)
      await b.quiet()
    }
    expect(seen.toSorted()).toEqual(['aborted', 'scoped', 'stopped'])
    stopped.stop()
    stopped.stop()
    controller.abort()
    await publish(running, 'a', 2)
    await b.quiet()
    expect(seen).toHaveLength(3)
    const { opened, open } = gate()
    running.watch(Counted, ({ data }) => {
      seen.push(`slow ${data.n}`)
      return opened
    })
    await publish(running, 'a', 3, 4)
    await b.quiet()
    await b.stop(running)
    open()
    await b.quiet()
    expect(seen.slice(3)).toEqual(['slow 3'])
    expect(() => running.watch(Counted, () => undefined)).toThrow(/stops/)
  })

  it('refuses what cannot work', async () => {
    const b = bench()
    const running = await b.start()
    expect(() => running.watch('test.counted' as never, () => undefined)).toThrow(TypeError)
    expect(() => running.watch([], () => undefined)).toThrow(TypeError)
    expect(() => running.watch(Counted, undefined as never)).toThrow(TypeError)
    expect(() => running.watch(Counted, () => undefined, { maxWaiting: 0 })).toThrow(TypeError)
  })
})
