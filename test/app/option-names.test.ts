import { describe, expect, it, test } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { http } from '../../src/app/http.ts'
import { start } from '../../src/app/start.ts'
import { every, on } from '../../src/bus/definitions.ts'
import { command } from '../../src/core/command.ts'
import { event } from '../../src/core/event.ts'
import { parseXml, xml } from '../../src/core/xml.ts'
import { stream } from '../../src/eventstore/stream.ts'
import { serveApp } from '../../src/gateway/app-server.ts'
import { servePlatform } from '../../src/gateway/platform.ts'
import { bench, Counted, Echoed, publish } from '../bus/support.ts'

const schema = z.string()
const data = { key: 'a', n: 1 }
/** As a program without types could give them. */
const misspelt = (options: object): never => options as never

describe('an option that there is not is a TypeError that names it', () => {
  const declared: Readonly<Record<string, () => unknown>> = {
    event: () => event('a.b', misspelt({ schema, upCast: 1 })),
    command: () => command('a.b', misspelt({ schema, result: schema, resultTtl: 1, upCast: 1 })),
    stream: () => stream('a', misspelt({ events: [Counted], upCast: 1 })),
    on: () => on(Counted, misspelt({ name: 'a', upCast: 1 }), () => {}),
    'retry of on': () => on(Counted, misspelt({ name: 'a', retry: { upCast: 1 } }), () => {}),
    every: () => every('* * * * *', misspelt({ name: 'a', upCast: 1 }), () => {}),
    app: () => app(misspelt({ name: 'a', upCast: [] })),
    'topic of app': () => app({ name: 'a', topics: { b: misspelt({ upCast: 1 }) } }),
    'retention of app': () => app({ name: 'a', topics: { b: { retention: misspelt({ upCast: 1 }) } } }),
    http: () => http.post('/a', misspelt({ upCast: schema }), () => new Response()),
    xml: () => xml(schema, misspelt({ upCast: [] })),
    parseXml: () => parseXml('<a/>', misspelt({ upCast: [] })),
  }
  test.each(Object.entries(declared))('%s', (_, declare) => {
    expect(declare).toThrow(TypeError)
    expect(declare).toThrow(/no option '(upCast|resultTtl)'/)
  })

  it('of every call of a running application', async () => {
    const b = bench()
    const ask = command('test.ask', { schema: z.string(), result: z.string() })
    const handlers = [on(Counted, { name: 'count' }, () => {}), on(ask, { name: 'answer' }, () => 'yes')]
    const order = stream('order', { events: [Echoed] })
    const running = await b.start({ handlers, streams: [order] })
    const { deadLetters } = running
    const calls: readonly (() => unknown)[] = [
      () => running.publish(Counted, data, misspelt({ subjcet: 'x' })),
      () => running.publish(Counted, data, misspelt({ partitionkey: 'x' })),
      () => running.publish(Counted, data, misspelt({ delayMs: 5, wait: 'handled' })),
      () => running.send('count', Counted, data, misspelt({ subjcet: 'x' })),
      () => running.request(ask, 'now', misspelt({ timeoutMs: 1 })),
      () => running.submit(ask, 'now', misspelt({ subjcet: 'x' })),
      () => running.append(order, 'a', [{ type: Echoed, data }], misspelt({ expected: 1 })),
      async () => running.watch(Counted, () => {}, misspelt({ bound: 1 })),
      () => deadLetters.list(misspelt({ handlr: 'count' })),
      () => deadLetters.list({}, misspelt({ limt: 1 })),
      () => deadLetters.groups(misspelt({ id: 'x' })),
      () => deadLetters.redrive(misspelt({ handlr: 'count' })),
      () => deadLetters.redrive({}, misspelt({ dryrun: true })),
      () => deadLetters.discard(misspelt({ handlr: 'count' }), { reason: 'old' }),
      () => deadLetters.discard({}, misspelt({ reason: 'old', dryrun: true })),
      () => servePlatform(running, misspelt({ prot: 0 })),
      () => serveApp(running, misspelt({ prot: 0 })),
    ]
    for (const call of calls) {
      await expect(call, call.toString()).rejects.toThrow(TypeError)
      await expect(call, call.toString()).rejects.toThrow(/no option '/)
    }
    await expect(start(running.app, misspelt({ memory: true }))).rejects.toThrow(/no option 'memory'/)
    expect(await deadLetters.list()).toMatchObject({ letters: [] })
  })

  it('of what a handler emits, whose attempt fails', async () => {
    const b = bench()
    const thrown: unknown[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, (_, ctx) => {
      for (const options of [{ delayMs: 5 }, null]) {
        try {
          ctx.emit(Echoed, data, misspelt(options as object))
        } catch (error) {
          thrown.push(error)
        }
      }
    })
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1)
    await b.settle(running)
    expect(thrown).toEqual([
      new TypeError("emit: there is no option 'delayMs'; there are subject, datacontenttype, delay, at"),
      new TypeError('emit: the options must be an object, not null'),
    ])
  })
})

it.each([
  ['handlers', () => app(misspelt({ name: 'a', handlers: {} }))],
  ['routes', () => app(misspelt({ name: 'a', routes: 'none' }))],
  ['events', () => app(misspelt({ name: 'a', events: { Counted } }))],
  ['forget', () => start(app({ name: 'a' }), misspelt({ log: 'memory:', forget: 'gone' }))],
])('%s must be a list', async (name, call) => {
  await expect(async () => call()).rejects.toThrow(new RegExp(`'${name}' must be a list`))
})

it('what is to be redriven or discarded cannot be undefined, which would mean all', async () => {
  const b = bench()
  const { deadLetters } = await b.start({ handlers: [on(Counted, { name: 'count' }, () => {})] })
  const nothing = misspelt({ id: undefined })
  await expect(deadLetters.redrive(nothing)).rejects.toThrow(
    new TypeError("redrive: 'id' must be a string, not undefined; leave it out to mean all"),
  )
  await expect(deadLetters.discard(nothing, { reason: 'old' })).rejects.toThrow(TypeError)
  await expect(deadLetters.redrive(undefined as never)).rejects.toThrow(
    'redrive: which dead letters are meant must be said',
  )
})

it.each([Number.NaN, -1, '5', Number.POSITIVE_INFINITY])('%s is no time to wait', async (waitTimeoutMs) => {
  const b = bench()
  const ask = command('test.ask', { schema: z.string(), result: z.string() })
  const running = await b.start({ handlers: [on(ask, { name: 'answer' }, () => 'yes')] })
  const options = misspelt({ waitTimeoutMs })
  await expect(running.request(ask, 'now', options)).rejects.toThrow("'waitTimeoutMs' must be")
  await expect(running.publish(ask, 'now', misspelt({ wait: 'handled', waitTimeoutMs }))).rejects.toThrow(
    "'waitTimeoutMs' must be",
  )
  const { deadLetters } = running
  await expect(deadLetters.redrive({}, misspelt({ wait: true, waitTimeoutMs }))).rejects.toThrow(
    "'waitTimeoutMs' must be",
  )
})

it.each([{ time: new Date(Number.NaN) }, { time: '2026-01-01' }, { at: '2026-01-01' }, { delay: '5' }])(
  'publish refuses the time %j',
  async (options) => {
    const b = bench()
    const running = await b.start()
    await expect(running.publish(Counted, data, misspelt(options))).rejects.toThrow(/must be a/)
    await expect(running.publish(Counted, data, misspelt(options))).rejects.toThrow(TypeError)
  },
)
