import { expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { bench, Counted, publish } from './support.ts'

it('tells the first dead letter of a handler in the log, then the tenth, the hundredth, with the error', async () => {
  const b = bench()
  const warned: object[] = []
  const logger = { debug() {}, info() {}, error() {}, warn: (fields: object) => warned.push(fields) }
  const handler = on(Counted, { name: 'handler' }, () => {
    throw new TerminalError('no')
  })
  const process = await b.start({ handlers: [handler], options: { logger } })
  await publish(process, 'a', 1, 120)
  await b.settle(process)
  const err = expect.objectContaining({ message: 'no' })
  const told = { err, handler: 'handler', topic: 'shop', partition: expect.any(Number), attempts: 1 }
  expect(warned).toEqual([1, 10, 100].map((count) => ({ ...told, offset: count - 1, deadLetters: count })))
})
