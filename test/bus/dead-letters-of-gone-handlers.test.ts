import { expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, publish } from './support.ts'

it('the dead letters of a handler that is gone are listed and discarded by its name, and not redriven', async () => {
  const b = bench()
  const resident = () => on(Counted, { name: 'resident', from: 'start' }, () => {})
  const gone = on(Counted, { name: 'gone', from: 'start', retry: { attempts: 1 } }, () => {
    throw new Error('never')
  })
  const first = await b.start({ handlers: [resident(), gone] })
  await publish(first, 'a', 1)
  await publish(first, 'b', 1)
  await b.settle(first)
  await b.stop(first)
  const { deadLetters } = await b.start({ handlers: [resident()] })
  const handler = 'gone'
  expect((await b.drive(deadLetters.list({ handler }))).letters).toHaveLength(2)
  expect((await b.drive(deadLetters.groups({ handler }))).groups).toMatchObject([{ count: 2 }])
  await expect(b.drive(deadLetters.redrive({ handler }))).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
  const { outcome } = await b.drive(deadLetters.discard({ handler }, { reason: 'gone', wait: true }))
  expect(outcome?.closed).toHaveLength(2)
  await expect(b.drive(deadLetters.list({ handler }))).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
  await expect(b.drive(deadLetters.groups({ handler }))).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
  expect((await b.drive(deadLetters.list())).letters).toEqual([])
})
