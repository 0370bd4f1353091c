import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, Echoed, publish } from './support.ts'

/** Handlers that write down what they are given, by their names. */
function listeners(seen: string[], ...names: string[]) {
  return names.map((name) =>
    on(Counted, { name, from: 'start' }, ({ data }) => seen.push(`${name} ${data.n}`)),
  )
}

describe('send', () => {
  it('reaches the one handler, and every other passes the event over as done', async () => {
    const b = bench()
    const seen: string[] = []
    const [first, second] = listeners(seen, 'first', 'second')
    const other = on(Counted, { name: 'other', group: 'others' }, () => seen.push('other'))
    const running = await b.start({ handlers: [first, second, other].filter((one) => one !== undefined) })
    await b.drive(running.send('second', Counted, { key: 'a', n: 1 }))
    await b.settle(running)
    expect(seen).toEqual(['second 1'])
    expect((await running.status()).map(({ lag }) => lag)).toEqual([0, 0, 0])
  })

  it('keeps its place among the other events of its key', async () => {
    const b = bench()
    const seen: string[] = []
    const [first, second] = listeners(seen, 'first', 'second')
    const running = await b.start({ handlers: [first, second].filter((one) => one !== undefined) })
    await publish(running, 'a', 1, 2)
    await b.drive(running.send('first', Counted, { key: 'a', n: 3 }))
    await publish(running, 'a', 4)
    await b.settle(running)
    expect(seen.filter((line) => line.startsWith('first'))).toEqual([1, 2, 3, 4].map((n) => `first ${n}`))
    expect(seen.filter((line) => line.startsWith('second'))).toEqual([1, 2, 4].map((n) => `second ${n}`))
  })

  it('stays with its handler through retries, a held key, a dead letter and a redrive', async () => {
    const b = bench()
    const seen: string[] = []
    let broken = true
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 2 }, whenExhausted: 'park' },
      (event) => {
        if (broken) throw new Error('not yet')
        seen.push(`handler ${event.data.n}`)
      },
    )
    const running = await b.start({ handlers: [handler, ...listeners(seen, 'other')] })
    await b.drive(running.send(handler, Counted, { key: 'a', n: 1 }))
    await b.drive(running.send('other', Counted, { key: 'a', n: 2 }))
    await publish(running, 'a', 3)
    await b.settle(running)
    expect(await b.deadLetters()).toMatchObject([{ handler: 'handler', attempts: 2 }])
    broken = false
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(running)
    expect(seen).toEqual(['other 2', 'other 3', 'handler 1', 'handler 3'])
  })

  it('waits for the one handler, and tells when it gave up', async () => {
    const b = bench()
    const never = Promise.withResolvers<void>()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, ({ data }) => {
      if (data.n === 2) throw new Error('refused')
    })
    const slow = on(Counted, { name: 'slow' }, () => never.promise)
    const running = await b.start({ handlers: [handler, slow] })
    await b.drive(running.send(handler, Counted, { key: 'a', n: 1 }, { wait: 'handled' }))
    const refused = running.send(handler, Counted, { key: 'a', n: 2 }, { wait: 'handled' })
    await expect(b.drive(refused)).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    never.resolve()
  })

  it('can be delayed', async () => {
    const b = bench()
    const seen: string[] = []
    const running = await b.start({ handlers: listeners(seen, 'first', 'second') })
    await b.drive(running.send('first', Counted, { key: 'a', n: 1 }, { delay: 60_000 }))
    await b.settle(running)
    expect(seen).toEqual([])
    await b.until(() => seen.length > 0, { stepMs: 1_000 })
    await b.settle(running)
    expect(seen).toEqual(['first 1'])
  })

  it('still arrives after the handler was renamed', async () => {
    const b = bench()
    const seen: string[] = []
    const failing = on(Counted, { name: 'before', retry: { attempts: 9, baseMs: 60_000 } }, () => {
      throw new Error('not yet')
    })
    const first = await b.start({ handlers: [failing] })
    await b.drive(first.send(failing, Counted, { key: 'a', n: 1 }))
    await b.drive(first.send(failing, Counted, { key: 'b', n: 2 }, { delay: 60_000 }))
    await b.until(async () => (await first.status())[0]?.parked.keys === 1)
    await b.stop(first)
    const after = on(Counted, { name: 'after', renamedFrom: 'before' }, ({ data }) => seen.push(`${data.n}`))
    await b.start({ handlers: [after, ...listeners(seen, 'other')] })
    await b.until(() => seen.length === 2, { stepMs: 1_000 })
    expect(seen.toSorted()).toEqual(['1', '2'])
  })

  it('refuses what cannot be sent: code, what and where', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => undefined)
    const running = await b.start({ handlers: [handler] })
    const data = { key: 'a', n: 1 }
    const options = { topic: 'aside' } as object
    await expect(running.send('nobody', Counted, data)).rejects.toMatchObject({
      code: 'HANDLER_UNKNOWN',
      message: expect.stringContaining("'nobody'"),
      fix: 'Use one of: handler.',
    })
    await expect(running.send('handler', Echoed, data)).rejects.toMatchObject({
      code: 'EVENT_NOT_HANDLED',
      where: "handler 'handler'",
      fix: 'Send it one of: test.counted.',
    })
    await expect(running.send(handler, Counted, data, options)).rejects.toThrow(/'topic' cannot be given/)
    await expect(running.send(undefined as never, Counted as never, data as never)).rejects.toThrow(TypeError)
    await expect(running.send(handler, 'test.counted' as never, data as never)).rejects.toThrow(TypeError)
    expect(await b.events()).toEqual([])
  })

  it('cannot be claimed by an event from outside, nor by a publisher', async () => {
    const b = bench()
    const running = await b.start({ handlers: [on(Counted, { name: 'handler' }, () => undefined)] })
    const refused = { code: 'EVENT_INVALID', where: 'millraceto' }
    const incoming = {
      specversion: '1.0' as const,
      id: '1',
      source: 'outside',
      type: Counted.type,
      millraceto: 'handler',
      data: { key: 'a', n: 1 },
    }
    await expect(running.accept([incoming])).rejects.toMatchObject(refused)
    const { millraceto: _, ...unaddressed } = incoming
    const replies = { ...unaddressed, millracereplyto: 'millrace.shop.replies/0/somebody' }
    await expect(running.accept([replies])).rejects.toMatchObject({ ...refused, where: 'millracereplyto' })
    const options = { millraceto: 'handler' } as object
    await expect(running.publish(Counted, { key: 'a', n: 1 }, options)).rejects.toThrow(
      "no option 'millraceto'",
    )
    expect(await b.events()).toEqual([])
  })
})

describe('send of a handler', () => {
  it('is committed with its step, caused by its event, and reaches the one handler', async () => {
    const b = bench()
    const seen: string[] = []
    let attempts = 0
    const sender = on(Counted, { name: 'sender', retry: { attempts: 3, baseMs: 10 } }, ({ data }, ctx) => {
      ctx.send('target', Echoed, data)
      attempts += 1
      if (attempts < 3) throw new Error('not yet')
    })
    const target = on(Echoed, { name: 'target' }, (event) => seen.push(`target of ${event.causationid}`))
    const other = on(Echoed, { name: 'other' }, () => seen.push('other'))
    const running = await b.start({ handlers: [sender, target, other] })
    const { id } = await b.drive(running.publish(Counted, { key: 'a', n: 1 }))
    await b.settle(running)
    expect(seen).toEqual([`target of ${id}`])
  })

  it('is refused within the attempt, and left out while catching up silently', async () => {
    const b = bench()
    const seen: string[] = []
    const first = await b.start({ handlers: [] })
    await publish(first, 'a', 1)
    await b.stop(first)
    const silent = on(Counted, { name: 'silent', from: 'start', catchUp: 'silent' }, ({ data }, ctx) => {
      ctx.send('target', Echoed, data)
    })
    const wrong = on(Counted, { name: 'wrong', from: 'start', retry: { attempts: 1 } }, ({ data }, ctx) => {
      ctx.send('target', Counted as never, data as never)
    })
    const target = on(Echoed, { name: 'target', from: 'start' }, () => seen.push('target'))
    const running = await b.start({ handlers: [silent, wrong, target] })
    await b.settle(running)
    expect(seen).toEqual([])
    expect(await b.deadLetters()).toMatchObject([{ handler: 'wrong', error: { code: 'EVENT_NOT_HANDLED' } }])
  })
})
