import { expect, it } from 'vitest'
import { z } from 'zod'
import { bindMethods } from '../../src/app/bind-methods.ts'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted } from '../bus/support.ts'

it('every method of a running application, and of its dead letters, works when it is taken out', async () => {
  const b = bench()
  const state = { seen: z.number().default(0) }
  const count = on(Counted, { name: 'count', from: 'start', state }, ({ data }, ctx) =>
    ctx.state.seen.set(data.n),
  )
  const running = await b.start({ handlers: [count] })
  const { publish, settled, read, status, accept, deadLetters, stop } = running
  const { list } = deadLetters
  await publish(Counted, { key: 'a', n: 7 })
  await b.drive(settled())
  expect(await b.drive(read(count, 'a'))).toEqual({ seen: 7 })
  expect(await status()).toMatchObject([{ name: 'count' }])
  expect(await accept([])).toEqual([])
  expect((await b.drive(list())).letters).toEqual([])
  expect(running.ready).toBe(true)
  await b.drive(stop())
  expect(running.ready).toBe(false)
  await b.stop(running)
})

it('a method that comes later is bound like any other, and getters stay what they are', () => {
  class Counter {
    #count = 0
    get count(): number {
      return this.#count
    }
    add(): void {
      this.#count += 1
    }
  }
  const counter = bindMethods(new Counter())
  const { add } = counter
  add()
  add()
  expect(counter.count).toBe(2)
  expect(counter).toBeInstanceOf(Counter)
})
