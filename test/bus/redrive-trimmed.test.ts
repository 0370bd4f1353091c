import { expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, publish, shop } from './support.ts'

it('a redrive of a record that retention has trimmed is passed over, with the reason; discarding it works', async () => {
  const b = bench()
  let broken = true
  const handled: number[] = []
  const handler = on(Counted, { name: 'handler', from: 'start', retry: { attempts: 1 } }, ({ data }) => {
    if (broken && data.n < 3) throw new Error('never')
    handled.push(data.n)
  })
  const running = await b.start({ handlers: [handler] })
  await publish(running, 'a', 1)
  await publish(running, 'a', 2)
  await publish(running, 'a', 3)
  await b.settle(running)
  broken = false
  await b.stop(running)
  const next = await b.start({ handlers: [handler] })
  expect(await b.drive(next.engine.trim({ topic: shop, partition: 0 }, { before: 1 }))).toBe(1)
  const { outcome } = await b.drive(next.deadLetters.redrive({}, { wait: true }))
  expect(outcome).toEqual({
    closed: ['handler/shop/0/1'],
    failed: [],
    passedOver: [{ id: 'handler/shop/0/0', reason: expect.stringContaining('OFFSET_TRIMMED') }],
    unsettled: [],
  })
  expect(handled).toEqual([3, 2])
  const discarded = await b.drive(next.deadLetters.discard({}, { reason: 'trimmed', wait: true }))
  expect(discarded.outcome).toMatchObject({ closed: ['handler/shop/0/0'], passedOver: [] })
  expect((await b.drive(next.deadLetters.list())).letters).toEqual([])
})
