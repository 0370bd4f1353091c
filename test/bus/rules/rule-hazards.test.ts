/**
 * Goal: rules hold at the same place for everybody, lose nothing and stop nobody, whatever fails and whoever comes later.
 * Method: processes in virtual time over one log in memory, with faults where they hurt.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import { loadCompiler } from '../../../src/bus/rules/application-rules.ts'
import { RuleHistory, ruleMarksType } from '../../../src/bus/rules/rule-history.ts'
import { ruleMarkType } from '../../../src/bus/rules/rule-marks.ts'
import { command } from '../../../src/core/command.ts'
import { event } from '../../../src/core/event.ts'
import { encodeEvent } from '../../../src/core/event-codec.ts'
import { xml } from '../../../src/core/xml.ts'
import { openMemory } from '../../../src/engines/memory/index.ts'
import { turn } from '../../../src/testing/turn.ts'
import { Aside, type Bench, bench, Counted, Echoed, publish, shop, upTo } from '../support.ts'

// Loading the library of CEL takes real time, which virtual time does not wait for.
beforeAll(async () => {
  await loadCompiler()
})

function seeing(name = 'handler', type: typeof Counted | typeof Echoed | typeof Aside = Counted) {
  const seen: number[] = []
  const handler = on(type, { name, from: 'start', retry: { attempts: 1 } }, ({ data }) => {
    seen.push(data.n)
  })
  return { seen, handler }
}

function rule(name: string, rest: object = {}): object {
  return { name, pattern: { type: 'test.counted' }, actions: [{ drop: true }], ...rest }
}

const echo = { actions: [{ emit: 'test.echoed', data: 'event.data' }] }

async function put(b: Bench, running: RunningApp, ...rules: object[]): Promise<void> {
  await b.drive(running.rules.put(rules))
  await b.settle(running)
}

async function letters(b: Bench, running: RunningApp) {
  return (await b.drive(running.deadLetters.list())).letters
}

/** Lets the change itself be made, and fails what tells where its marks are. */
function untold() {
  let appends = 0
  return (name: string): Error | undefined => {
    if (name !== 'append:apply') return undefined
    appends += 1
    return appends === 2 ? new Error('gone') : undefined
  }
}

describe('where a change takes effect', () => {
  it('is told by the next process where the one that made it could not', async () => {
    const b = bench()
    const running = await b.start({ handlers: [seeing().handler], fault: untold() })
    await b.drive(running.rules.put([rule('all')]))
    await b.stop(running)
    const told = async () =>
      (await b.events(`millrace.${shop}.rules`)).filter(({ type }) => type === ruleMarksType)
    expect(await told()).toHaveLength(0)
    const again = await b.start({ handlers: [seeing().handler] })
    expect((await told()).map(({ data }) => (data as { marks: object }).marks)).toEqual([
      { shop: [0], aside: [0] },
    ])
    await publish(again, 'a', 1)
    await b.settle(again)
  })

  it('is the start of a place whose marks retention has trimmed', async () => {
    const b = bench()
    const first = await b.start({ handlers: [], fault: untold() })
    await b.drive(first.rules.put([rule('all')]))
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.stop(first)
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    expect(await engine.trim({ topic: shop, partition: 0 }, { before: 2 })).toBe(2)
    const { seen, handler } = seeing()
    const second = await b.start({ handlers: [handler] })
    await b.settle(second)
    expect(seen).toEqual([])
  })

  it('is where the application first came with a topic that it did not have before', async () => {
    const b = bench()
    const first = await b.start({ events: [Counted, Echoed], handlers: [] })
    await put(b, first, rule('echo', { pattern: { type: 'test.aside' }, ...echo }))
    await b.stop(first)
    // Somebody else's topic, with a history that no rule has held for.
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    await engine.createTopic('aside', {})
    const old = {
      specversion: '1.0',
      id: '1',
      source: '/',
      type: 'test.aside',
      time: '2026-01-01T00:00:00Z',
    } as const
    const value = encodeEvent({ ...old, partitionkey: 'a', data: { key: 'a', n: 1 } })
    await engine.append([{ topic: 'aside', partition: 0, value, timeMs: 0 }])
    const { seen, handler } = seeing('echoes', Echoed)
    for (const n of [2, 3]) {
      const later = await b.start({ handlers: [handler] })
      await later.publish(Aside, { key: 'a', n })
      await b.settle(later)
      await b.stop(later)
    }
    expect(seen).toEqual([2, 3])
    expect((await b.events('aside')).filter(({ type }) => type === ruleMarkType)).toHaveLength(1)
  })

  it('is known to everybody who looks, also while another is looking', async () => {
    const b = bench()
    const running = await b.start({})
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    const topic = `millrace.${shop}.rules`
    let pass = () => {}
    const held = new Promise<void>((resolve) => {
      pass = resolve
    })
    const slow = new Proxy(engine, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target)
        if (name === 'bounds')
          return async (at: { topic: string; partition: number }) => {
            const bounds = await target.bounds(at)
            await held
            return bounds
          }
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const history = new RuleHistory(slow, topic, new AbortController().signal)
    const before = history.refresh()
    await turn()
    await b.drive(running.rules.put([rule('all')]))
    const after = history.refresh()
    pass()
    await b.drive(Promise.all([before, after]))
    expect(history.changes).toHaveLength(1)
  })

  it('is not said by a mark that stands for no change', async () => {
    const b = bench()
    const { seen, handler } = seeing()
    const running = await b.start({ handlers: [handler] })
    const forged = {
      specversion: '1.0',
      id: 'no-change',
      source: '/',
      type: ruleMarkType,
      time: '2026-01-01T00:00:00Z',
    } as const
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    await engine.append([
      { topic: shop, partition: 0, value: encodeEvent({ ...forged, data: {} }), timeMs: 0 },
    ])
    await put(b, running, rule('two', { pattern: { data: { n: [2] } } }))
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect(seen).toEqual([1, 3])
    await expect(b.drive(running.accept([{ ...forged, data: {} }]))).rejects.toMatchObject({
      code: 'EVENT_TYPE_UNKNOWN',
    })
    await expect(
      b.drive(
        running.accept([{ ...forged, type: 'test.counted', millracemoved: true, data: { key: 'a', n: 9 } }]),
      ),
    ).rejects.toMatchObject({ code: 'EVENT_INVALID' })
  })

  it('is the same for a parked key that is read again before its topic is', async () => {
    const b = bench()
    const seen: number[] = []
    let fails = true
    const handler = on(Counted, { name: 'handler', retry: { attempts: 9, baseMs: 10 } }, ({ data }) => {
      if (data.n === 1 && fails) throw new Error('not yet')
      seen.push(data.n)
    })
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 2)
    await b.pass(50)
    await b.drive(running.rules.put([rule('four', { pattern: { data: { n: [4] } } })]))
    await publish(running, 'a', 3, 5)
    await b.drive(running.rules.disable('four'))
    await publish(running, 'a', 4)
    fails = false
    await b.settle(running)
    expect(seen).toEqual([1, 2, 3, 5, 4])
  })
})

describe('what a stored rule names may be gone', () => {
  it('which stops neither the application nor the other rules, and is shown', async () => {
    const b = bench()
    const first = await b.start({ handlers: [seeing('gone').handler, seeing().handler] })
    await put(
      b,
      first,
      rule('sends', { actions: [{ send: 'gone' }] }),
      rule('emits', { actions: [{ emit: 'test.aside', data: 'event.data' }] }),
      rule('works', echo),
    )
    await b.stop(first)
    const { seen, handler } = seeing()
    const echoes = seeing('echoes', Echoed)
    const second = await b.start({ events: [], handlers: [handler, echoes.handler] })
    await publish(second, 'a', 1)
    await b.settle(second)
    expect([seen, echoes.seen]).toEqual([[1], [1]])
    const { rules } = await b.drive(second.rules.list())
    expect(rules.map(({ rule: { name }, counts }) => [name, counts.failed, counts.lastProblem])).toEqual([
      ['emits', 1, expect.stringMatching(/test\.aside/)],
      ['sends', 1, expect.stringMatching(/gone/)],
      ['works', 0, undefined],
    ])
  })

  it('which is a dead letter where the event would be lost, and is done when it is back and handed back', async () => {
    const b = bench()
    const first = await b.start({ handlers: [seeing().handler] })
    await put(b, first, rule('aside', { actions: [{ move: 'aside' }] }))
    await b.stop(first)
    const second = await b.start({ events: [], handlers: [seeing().handler] })
    await publish(second, 'a', 1)
    await b.settle(second)
    expect(await letters(b, second)).toMatchObject([{ handler: '$rules', error: { code: 'TERMINAL' } }])
    await b.stop(second)
    const { seen, handler } = seeing()
    const third = await b.start({ handlers: [handler] })
    const { outcome } = await b.drive(third.deadLetters.redrive({ handler: '$rules' }, { wait: true }))
    expect(outcome?.closed).toHaveLength(1)
    await b.settle(third)
    expect(await letters(b, third)).toEqual([])
    expect((await b.events('aside')).filter(({ type }) => type === 'test.counted')).toHaveLength(1)
    expect(seen).toEqual([])
  })

  it('and a rule with several actions does all of them or none', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler], maxEventBytes: 2_000 })
    const large =
      "{'key': event.data.key.replace('a', 'aaaaaaaaaaaaaaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')), 'n': 1.0}"
    await put(
      b,
      running,
      rule('both', { actions: [...echo.actions, { emit: 'test.echoed', data: large, subject: "'a'" }] }),
    )
    await publish(running, 'aaa', 1)
    await b.settle(running)
    expect(seen).toEqual([])
    expect((await b.drive(running.rules.get('both'))).counts).toMatchObject({ acted: 0, failed: 1 })
  })
})

describe('the handler of rules', () => {
  it('cannot be forgotten, because what it did would be done again', async () => {
    const b = bench()
    const running = await b.start({ handlers: [seeing().handler] })
    await put(b, running, rule('all'))
    await b.stop(running)
    const again = b.start({ handlers: [seeing().handler], options: { forget: ['$rules'] } })
    await expect(again).rejects.toMatchObject({ code: 'HANDLER_PRESENT' })
  })

  it('goes on where it stood after a restart, and in an application without any handler', async () => {
    const b = bench()
    for (const n of [1, 2, 3]) {
      const running = await b.start({ handlers: [] })
      if (n === 1) await put(b, running, rule('echo', echo))
      await publish(running, 'a', n)
      await b.settle(running)
      await b.stop(running)
    }
    const emitted = (await b.events()).filter(({ type }) => type === 'test.echoed')
    expect(emitted.map(({ data }) => (data as { n: number }).n)).toEqual([1, 2, 3])
  })

  it('tells no publisher that waits, whatever becomes of what it does', async () => {
    const b = bench()
    const { seen, handler } = seeing()
    const running = await b.start({ handlers: [handler], hopLimit: 1 })
    await put(b, running, rule('loop', { actions: [{ emit: 'test.counted', data: 'event.data' }] }))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { wait: 'handled' }))
    const replies = await b.events(`millrace.${shop}.replies`)
    expect(replies.map(({ data }) => (data as { handler: string }).handler)).toEqual(['handler'])
    await b.settle(running)
    expect(seen).toContain(1)
  })

  it('makes marks of a size that several changes keep within, and says so', async () => {
    const b = bench()
    const running = await b.start({})
    const many = Array.from({ length: 10_000 }, (_, index) =>
      rule(`r${index}`, { description: 'x'.repeat(100) }),
    )
    await expect(b.drive(running.rules.put(many))).rejects.toMatchObject({
      code: 'RULE_INVALID',
      fix: expect.stringMatching(/several changes/),
    })
    for (let from = 0; from < 10_000; from += 2_000)
      await b.drive(running.rules.put(many.slice(from, from + 2_000)))
    expect((await b.drive(running.rules.list())).rules).toHaveLength(10_000)
    await expect(b.drive(running.rules.put([rule('one.more')]))).rejects.toMatchObject({
      code: 'RULE_INVALID',
    })
  })
})

describe('an event that is sent', () => {
  it('reaches a handler with a key of its own, one of another group and one whose filter it does not match', async () => {
    const b = bench()
    const seen: string[] = []
    const keep =
      (name: string) =>
      ({ data }: { data: { n: number } }) => {
        seen.push(`${name} ${data.n}`)
      }
    const running = await b.start({
      partitions: 4,
      handlers: [
        on(Counted, { name: 'rekeyed', key: ({ n }) => `n${n}` }, keep('rekeyed')),
        on(Counted, { name: 'apart', group: 'apart' }, keep('apart')),
        on({ type: Counted, data: { n: [0] } }, { name: 'filtered' }, keep('filtered')),
      ],
    })
    const actions = [{ send: 'rekeyed' }, { send: 'apart' }, { send: 'filtered' }, { drop: true }]
    await put(b, running, rule('route', { pattern: { data: { n: [2] } }, actions }))
    await publish(running, 'a', 2)
    await b.settle(running)
    expect(seen.toSorted()).toEqual(['apart 2', 'filtered 2', 'rekeyed 2'])
  })

  it('is waited for by its publisher where a handler with a key of its own does not see it', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'rekeyed', key: ({ n }) => `n${n}` }, () => {})
    const running = await b.start({ partitions: 4, handlers: [handler] })
    await put(b, running, rule('all'))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { wait: 'handled' }))
  })
})

describe('a dead letter that is handed back', () => {
  it('reaches its handler though a filter has come that it does not match', async () => {
    const b = bench()
    const failing = on(Counted, { name: 'handler', retry: { attempts: 1 } }, () => {
      throw new Error('not yet')
    })
    const first = await b.start({ handlers: [failing] })
    await publish(first, 'a', 1, 2)
    await b.settle(first)
    await b.stop(first)
    const seen: number[] = []
    const mended = on({ type: Counted, data: { n: [9] } }, { name: 'handler' }, ({ data }) => {
      seen.push(data.n)
    })
    const second = await b.start({ handlers: [mended] })
    await b.drive(second.deadLetters.redrive({}, { wait: true }))
    await b.settle(second)
    expect(seen).toEqual([1, 2])
    expect(await letters(b, second)).toEqual([])
  })
})

describe('a command', () => {
  const Count = command('test.count', {
    schema: z.object({ key: z.string(), n: z.number() }),
    key: ({ key }) => key,
    result: z.number(),
  })

  it('is kept from its handler by no rule, and a rule that tries is shown', async () => {
    const b = bench()
    let handled = 0
    const handler = on(Count, { name: 'counter' }, ({ data }) => {
      handled += 1
      return data.n
    })
    const running = await b.start({ handlers: [handler] })
    const pattern = { type: 'test.count' }
    await put(
      b,
      running,
      rule('drop', { pattern }),
      rule('send', { pattern, actions: [{ send: 'counter' }] }),
      rule('echo', { pattern, ...echo }),
    )
    expect(await b.drive(running.request(Count, { key: 'a', n: 5 }))).toEqual({ ok: true, result: 5 })
    await b.settle(running)
    expect(handled).toBe(1)
    const { rules } = await b.drive(running.rules.list())
    expect(rules.map(({ rule: { name }, counts }) => [name, counts.acted, counts.failed])).toEqual([
      ['drop', 0, 1],
      ['echo', 1, 0],
      ['send', 0, 1],
    ])
    expect(await letters(b, running)).toEqual([])
    const route = await b.drive(running.route({ type: 'test.count', data: { key: 'a', n: 1 } }))
    expect(route.handlers).toMatchObject([{ name: 'counter', matches: true }])
  })
})

describe('an event whose data is XML', () => {
  const Order = xml(
    z.object({ order: z.object({ '@id': z.string(), region: z.string(), total: z.number() }) }),
    {
      numbers: ['order/total'],
    },
  )
  const Ordered = event('test.ordered', { schema: Order, key: (text) => Order.parse(text).order['@id'] })

  it('is routed by the values of its elements', async () => {
    const b = bench()
    const seen: string[] = []
    const filtered = on(
      { type: Ordered, data: { order: { region: ['eu'], total: [{ numeric: ['>', 100] }] } } },
      { name: 'filtered' },
      ({ data }) => {
        seen.push(`filtered ${Order.parse(data).order['@id']}`)
      },
    )
    const asked = on(
      { type: Ordered, when: "event.data.order['@id'] == 'o-2'" },
      { name: 'asked' },
      ({ data }) => {
        seen.push(`asked ${typeof data}`)
      },
    )
    const echoes = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [filtered, asked, echoes.handler] })
    const data = "{'key': event.data.order['@id'], 'n': event.data.order.total}"
    await put(b, running, {
      name: 'tell',
      pattern: { data: { order: { region: ['us'] } } },
      actions: [{ emit: 'test.echoed', data }],
    })
    for (const [id, region, total] of [
      ['o-1', 'eu', 150],
      ['o-2', 'eu', 50],
      ['o-3', 'us', 7],
    ]) {
      const text = `<order id="${id}"><region>${region}</region><total>${total}</total></order>`
      await running.publish(Ordered, text, { datacontenttype: 'application/xml' })
    }
    await b.settle(running)
    expect(seen.toSorted()).toEqual(['asked string', 'filtered o-1'])
    expect(echoes.seen).toEqual([7])
    expect(upTo(1)).toEqual([1])
  })
})
