import { expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { event } from '../../src/core/event.ts'
import { bench, Counted, Echoed, publish } from '../bus/support.ts'

it('publishing what is no event type is a TypeError', async () => {
  const b = bench()
  const running = await b.start()
  await expect(running.publish({} as never, {} as never)).rejects.toThrow(TypeError)
})

it('what is of another event type of the same name is a TypeError, published or emitted', async () => {
  const b = bench()
  const other = event(Counted.type, { schema: z.object({ other: z.string() }) })
  const caught: unknown[] = []
  const handler = on(Counted, { name: 'handler' }, (_, ctx) => {
    try {
      ctx.emit(other, { other: 'x' })
    } catch (error) {
      caught.push(error)
    }
  })
  const running = await b.start({ handlers: [handler] })
  const declaredTwice = new TypeError(
    "event type 'test.counted' is declared twice: this is not the one of the application; declare it once and import it",
  )
  await expect(running.publish(other, { other: 'x' })).rejects.toThrow(declaredTwice)
  await publish(running, 'a', 1)
  await b.settle(running)
  expect(caught).toEqual([declaredTwice])
  expect(await b.numbers(Counted)).toEqual([1])
})

it('a part that a filter does not have is named', () => {
  const misspelt = { type: Counted, datta: {} } as { readonly type: typeof Counted }
  expect(() => on(misspelt, { name: 'handler' }, () => {})).toThrow("a filter has no 'datta'")
})

it('reading a handler that is not listed is HANDLER_UNKNOWN, and a key that is none KEY_INVALID', async () => {
  const b = bench()
  const listed = on(Counted, { name: 'listed' }, () => {})
  const other = on(Counted, { name: 'other' }, () => {})
  const running = await b.start({ handlers: [listed] })
  await expect(running.read(other, 'a')).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
  await expect(running.read(listed, 7 as never)).rejects.toMatchObject({ code: 'KEY_INVALID', where: 'key' })
})

it('emitting with a subject that is none fails the attempt', async () => {
  const b = bench()
  const reasons: unknown[] = []
  const handler = on(Counted, { name: 'handler' }, ({ data }, ctx) => {
    try {
      ctx.emit(Echoed, data, { subject: '' })
    } catch (error) {
      reasons.push((error as { code?: unknown }).code)
      throw new TerminalError('no', { cause: error })
    }
  })
  const running = await b.start({ handlers: [handler] })
  await publish(running, 'a', 1)
  await b.settle(running)
  expect(reasons).toEqual(['EVENT_INVALID'])
})
