import { describe, expect, it } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { type Bench, bench, Counted, gate, publish } from './support.ts'

/** A handler that fails while the switch is on. */
function failing(name = 'handler', options: { readonly whenExhausted?: 'skip' | 'park' } = {}) {
  const fault = { on: true, message: (n: number) => `order ${n} is broken` }
  const handled: number[] = []
  const handler = on(Counted, { name, retry: { attempts: 1 }, ...options }, ({ data }) => {
    if (fault.on) throw new Error(fault.message(data.n))
    handled.push(data.n)
  })
  return { handler, fault, handled }
}

async function open(b: Bench, running: RunningApp): Promise<readonly string[]> {
  const { letters } = await b.drive(running.deadLetters.list())
  return letters.map(({ id }) => id)
}

describe('the list of dead letters', () => {
  it('has those that are open, with what is known of them', async () => {
    const b = bench()
    const { handler } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(await b.drive(process.deadLetters.list())).toEqual({
      letters: [
        {
          id: 'handler/shop/0/0',
          handler: 'handler',
          topic: 'shop',
          partition: 0,
          offset: 0,
          key: 'a',
          type: 'test.counted',
          attempts: 1,
          atMs: expect.any(Number),
          error: { name: 'Error', message: 'order 1 is broken' },
          fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
      ],
      unanswered: [],
    })
  })

  it('is given page by page, each exactly once, over all partitions', async () => {
    const b = bench()
    const { handler } = failing()
    const process = await b.start({ handlers: [handler], partitions: 4 })
    for (const key of ['a', 'b', 'c', 'd', 'e']) await publish(process, key, 1, 3)
    await b.settle(process)
    const ids: string[] = []
    for (let from: string | undefined, first = true; first || from !== undefined; first = false) {
      const page = await b.drive(process.deadLetters.list({}, { limit: 4, ...(from ? { from } : {}) }))
      ids.push(...page.letters.map(({ id }) => id))
      from = page.next
    }
    expect(new Set(ids).size).toBe(15)
    expect(ids).toHaveLength(15)
  })

  it('shows one with its event, its stack and its attempts', async () => {
    const b = bench()
    const { handler } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    expect(await b.drive(process.deadLetters.show('handler/shop/0/1'))).toMatchObject({
      event: { type: 'test.counted', data: { key: 'a', n: 2 } },
      error: { message: 'order 2 is broken', stack: expect.stringContaining('dead-letters.test.ts') },
      failures: [{ attempt: 1, atMs: expect.any(Number) }],
    })
    for (const id of [
      'handler/shop/0/9',
      'nobody/shop/0/0',
      'handler/shop/7/0',
      `${'x'.repeat(2_000)}/shop/0/0`,
      'nonsense',
    ]) {
      await expect(b.drive(process.deadLetters.show(id))).rejects.toMatchObject({
        code: 'DEAD_LETTER_UNKNOWN',
      })
    }
  })

  it('groups failures of one cause, whatever differs from event to event', async () => {
    const b = bench()
    const { handler, fault } = failing()
    const other = failing('other')
    fault.message = (n) => (n < 3 ? `order ${n} of "customer ${n}" is broken` : 'out of stock')
    const process = await b.start({ handlers: [handler, other.handler] })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    const { groups } = await b.drive(process.deadLetters.groups())
    expect(groups.map(({ handler: name, count, latest }) => [name, count, latest])).toEqual([
      ['other', 3, 'other/shop/0/2'],
      ['handler', 2, 'handler/shop/0/1'],
      ['handler', 1, 'handler/shop/0/2'],
    ])
    const group = groups[1]?.fingerprint ?? ''
    const { letters } = await b.drive(process.deadLetters.list({ group }))
    expect(letters.map(({ offset }) => offset)).toEqual([0, 1])
  })

  it('refuses a handler that is not there and a place that is none', async () => {
    const b = bench()
    const process = await b.start({ handlers: [failing().handler] })
    const { deadLetters } = process
    await expect(deadLetters.list({ handler: 'nobody' })).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
    await expect(deadLetters.list({}, { from: 'x' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    await expect(deadLetters.list({}, { limit: 0 })).rejects.toThrow(TypeError)
    await expect(deadLetters.discard({}, { reason: ' ' })).rejects.toThrow(TypeError)
  })
})

describe('redriving dead letters', () => {
  it('handles them in offset order and closes them; a dry run does neither', async () => {
    const b = bench()
    const { handler, fault, handled } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 5)
    await b.settle(process)
    fault.on = false
    expect(await b.drive(process.deadLetters.redrive({}, { dryRun: true }))).toMatchObject({ asked: 0 })
    await b.settle(process)
    expect(await open(b, process)).toHaveLength(5)
    const first = await b.drive(process.deadLetters.redrive({}, { limit: 3 }))
    expect(first).toMatchObject({ asked: 3, dryRun: false, next: 'shop/0/handler/shop/2' })
    await b.drive(process.deadLetters.redrive({}, { from: first.next ?? '' }))
    await b.settle(process)
    expect(handled).toEqual([1, 2, 3, 4, 5])
    expect(b.state('dead-letter/').size).toBe(0)
  })

  it('asked for twice happens once', async () => {
    const b = bench()
    const { handler, fault, handled } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    fault.on = false
    const id = 'handler/shop/0/0'
    await b.drive(Promise.all([process.deadLetters.redrive({ id }), process.deadLetters.redrive({ id })]))
    await b.settle(process)
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(process)
    expect(handled).toEqual([1])
  })

  it('that fails again replaces the dead letter by a new one', async () => {
    const b = bench()
    const { handler, fault } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    fault.message = () => 'still broken'
    await b.drive(process.deadLetters.redrive({ id: 'handler/shop/0/0' }))
    await b.settle(process)
    const { letters } = await b.drive(process.deadLetters.list())
    expect(letters).toMatchObject([{ id: 'handler/shop/0/0', error: { message: 'still broken' } }])
    const shown = await b.drive(process.deadLetters.show('handler/shop/0/0'))
    expect(shown.error.message).toBe('still broken')
  })

  it('lets a key that is held go on, and closes what held it', async () => {
    const b = bench()
    const { handler, fault, handled } = failing('handler', { whenExhausted: 'park' })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    expect(await open(b, process)).toEqual(['handler/shop/0/0'])
    fault.on = false
    await b.drive(process.deadLetters.redrive({ handler: 'handler' }))
    await b.settle(process)
    expect(handled).toEqual([1, 2, 3])
    expect(await open(b, process)).toEqual([])
  })
})

describe('discarding a dead letter', () => {
  it('closes it for good, and keeps the reason in the log', async () => {
    const b = bench()
    const { handler, fault, handled } = failing()
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    await b.drive(process.deadLetters.discard({ id: 'handler/shop/0/0' }, { reason: 'a test order' }))
    await b.settle(process)
    fault.on = false
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(process)
    expect(handled).toEqual([])
    expect(await open(b, process)).toEqual(['handler/shop/0/1'])
    const [asked] = await b.events('millrace.shop.redrives')
    expect(asked).toMatchObject({ type: 'millrace.discard', data: { offset: 0, reason: 'a test order' } })
  })

  it('lets a held key go on behind it, also after a restart', async () => {
    const b = bench()
    const { handler, fault, handled } = failing('handler', { whenExhausted: 'park' })
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.stop(first)
    fault.on = false
    const process = await b.start({ handlers: [handler] })
    await b.drive(process.deadLetters.discard({}, { reason: 'a test order' }))
    await b.settle(process)
    expect(handled).toEqual([2, 3])
    expect(b.state('parked/').size).toBe(0)
  })

  it('takes it back out of what waits to be tried again', async () => {
    const b = bench()
    const fault = { on: true }
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2, baseMs: 60_000 } }, ({ data }) => {
      if (fault.on) throw new Error('never')
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.until(async () => (await b.deadLetters()).length === 2, { stepMs: 1_000 })
    await b.redrive({ key: 'a', offset: 0 }, { key: 'a', offset: 1 })
    await b.quiet()
    fault.on = false
    await b.drive(process.deadLetters.discard({ id: 'handler/shop/0/0' }, { reason: 'a test order' }))
    await b.settle(process)
    expect(handled).toEqual([2])
    expect(b.state('dead-letter/').size).toBe(0)
    expect(b.state('parked/').size).toBe(0)
  })

  it('is passed over while it is being tried again, and nothing is handled twice', async () => {
    const b = bench()
    const running = gate()
    const { fault, handled } = failing()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async ({ data }) => {
      if (fault.on) throw new Error('never')
      handled.push(data.n)
      if (data.n === 1) await running.opened
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    fault.on = false
    await publish(process, 'a', 3)
    await b.settle(process)
    await b.redrive({ key: 'a', offset: 0 })
    await b.until(() => handled.includes(1))
    await publish(process, 'a', 4, 5)
    await b.drive(process.deadLetters.discard({ id: 'handler/shop/0/0' }, { reason: 'too late' }))
    await b.quiet()
    expect(await open(b, process)).toHaveLength(2)
    running.open()
    await b.settle(process)
    expect(handled).toEqual([3, 1, 4, 5])
    expect(await open(b, process)).toEqual(['handler/shop/0/1'])
  })

  it('forgets what once remembered of it', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async (_, ctx) => {
      await ctx.once('label', () => 1)
      throw new Error('after it')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(b.state('once/').size).toBe(1)
    await b.drive(process.deadLetters.discard({}, { reason: 'a test order' }))
    await b.settle(process)
    expect(b.state('once/').size).toBe(0)
  })

  it('works where its handler is gone', async () => {
    const b = bench()
    const first = await b.start({ handlers: [failing().handler] })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    const process = await b.start()
    expect(await open(b, process)).toEqual(['handler/shop/0/0'])
    expect(await b.drive(process.deadLetters.redrive({}))).toMatchObject({ asked: 0 })
    await b.drive(process.deadLetters.discard({}, { reason: 'the handler is gone' }))
    await b.settle(process)
    expect(await open(b, process)).toEqual([])
  })
})
