import { beforeAll, describe, expect, it } from 'vitest'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import { loadCompiler } from '../../../src/bus/rules/application-rules.ts'
import { Aside, type Bench, bench, Counted, Echoed, publish, shop, upTo } from '../support.ts'

// Loading the library of CEL takes real time, which virtual time does not wait for.
beforeAll(async () => {
  await loadCompiler()
})

/** A handler that keeps what it saw. */
function seeing(name = 'handler', types: typeof Counted | typeof Echoed = Counted) {
  const seen: number[] = []
  const handler = on(types, { name, from: 'start' }, ({ data }) => {
    seen.push(data.n)
  })
  return { seen, handler }
}

function rule(name: string, rest: object = {}): object {
  return { name, pattern: { type: 'test.counted' }, actions: [{ drop: true }], ...rest }
}

async function put(b: Bench, running: RunningApp, ...rules: object[]): Promise<void> {
  await b.drive(running.rules.put(rules))
  await b.settle(running)
}

describe('a rule', () => {
  it('keeps events from the handlers from where it was put on, and no others', async () => {
    const b = bench()
    const { seen, handler } = seeing()
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 3)
    await put(b, running, rule('odd', { pattern: { data: { n: [5, 7] } } }))
    await publish(running, 'a', 4, 8)
    await b.settle(running)
    expect(seen).toEqual([1, 2, 3, 4, 6, 8])
  })

  it('holds at the same place for a handler that comes later, and for every process after a restart', async () => {
    const b = bench()
    const first = await b.start({ handlers: [seeing().handler], partitions: 4 })
    for (const key of ['a', 'b', 'c', 'd', 'e']) await publish(first, key, 1, 2)
    await b.drive(first.rules.put([rule('all')]))
    for (const key of ['a', 'b', 'c', 'd', 'e']) await publish(first, key, 3, 4)
    await b.drive(first.rules.disable('all'))
    for (const key of ['a', 'b', 'c', 'd', 'e']) await publish(first, key, 5)
    await b.settle(first)
    await b.stop(first)
    const { seen, handler } = seeing('late')
    const second = await b.start({ handlers: [seeing().handler, handler], partitions: 4 })
    await b.settle(second)
    expect(seen.toSorted()).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 5, 5, 5, 5, 5])
  })

  it('holds for handlers of other groups as for those of the application', async () => {
    const b = bench()
    const own = seeing('own')
    const seen: number[] = []
    const apart = on(Counted, { name: 'apart', group: 'apart', from: 'start' }, ({ data }) => {
      seen.push(data.n)
    })
    const running = await b.start({ handlers: [own.handler, apart] })
    await put(b, running, rule('two', { pattern: { data: { n: [2] } } }))
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect([own.seen, seen]).toEqual([
      [1, 3],
      [1, 3],
    ])
  })

  it('emits an event with a payload in CEL, committed with the event that it is about', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    const data = "{'key': event.data.key, 'n': event.data.n * 10.0}"
    await put(
      b,
      running,
      rule('echo', { when: 'event.data.n > 1', actions: [{ emit: 'test.echoed', data }] }),
    )
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect(seen).toEqual([20, 30])
    expect((await running.rules.get('echo')).counts).toMatchObject({ matched: 2, acted: 2, failed: 0 })
  })

  it('sends an event to one handler, which alone gets it where the others do not see it', async () => {
    const b = bench()
    const one = seeing('one')
    const other = seeing('other')
    const running = await b.start({ handlers: [one.handler, other.handler] })
    await put(
      b,
      running,
      rule('route', { pattern: { data: { n: [2] } }, actions: [{ send: 'one' }, { drop: true }] }),
    )
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect(one.seen.toSorted()).toEqual([1, 2, 3])
    expect(other.seen).toEqual([1, 3])
  })

  it('moves an event to another topic, where its handlers do not see it and those of the other do', async () => {
    const b = bench()
    const { seen, handler } = seeing()
    const running = await b.start({ handlers: [handler] })
    await put(b, running, rule('aside', { pattern: { data: { n: [2] } }, actions: [{ move: 'aside' }] }))
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect(seen).toEqual([1, 3])
    const moved = (await b.events('aside')).filter(({ type }) => type === 'test.counted')
    expect(moved.map(({ data }) => (data as { n: number }).n)).toEqual([2])
  })

  it('is counted and shown when it cannot be evaluated, and the others do their part', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    const echo = { actions: [{ emit: 'test.echoed', data: 'event.data' }] }
    await put(
      b,
      running,
      rule('broken', { priority: 1, when: 'event.data.missing == 1' }),
      rule('unfit', { actions: [{ emit: 'test.echoed', data: "{'key': 5}" }] }),
      rule('works', echo),
    )
    await publish(running, 'a', 1)
    await b.settle(running)
    expect(seen).toEqual([1])
    const { rules } = await running.rules.list()
    expect(rules.map(({ rule: { name }, counts }) => [name, counts.failed, counts.lastProblem])).toEqual([
      ['broken', 1, expect.stringMatching(/missing/)],
      ['unfit', 1, expect.stringMatching(/test\.echoed/)],
      ['works', 0, undefined],
    ])
  })

  it('that feeds itself is stopped as a loop, with a dead letter', async () => {
    const b = bench()
    const running = await b.start({ handlers: [seeing().handler], hopLimit: 5 })
    await put(b, running, rule('loop', { actions: [{ emit: 'test.counted', data: 'event.data' }] }))
    await publish(running, 'a', 1)
    await b.settle(running)
    const { letters } = await b.drive(running.deadLetters.list())
    expect(letters.map(({ error }) => error.code)).toContain('LOOP_SUSPECTED')
  })

  it('does not keep a publisher waiting for what nobody will handle', async () => {
    const b = bench()
    const running = await b.start({ handlers: [seeing().handler] })
    await put(b, running, rule('all'))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { wait: 'handled' }))
  })

  it('works where no handler reads the topic', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    const echo = { actions: [{ emit: 'test.echoed', data: 'event.data' }] }
    await put(b, running, rule('from.aside', { pattern: { type: 'test.aside' }, ...echo }))
    await running.publish(Aside, { key: 'a', n: 7 })
    await b.settle(running)
    expect(seen).toEqual([7])
  })
})

describe('several rules that match', () => {
  const echo = (n: string) => ({
    actions: [{ emit: 'test.echoed', data: `{'key': event.data.key, 'n': ${n}}` }],
  })

  async function echoed(
    policy: 'all' | 'first' | 'exclusive',
  ): Promise<{ seen: number[]; running: RunningApp }> {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    await b.drive(running.rules.setPolicy(policy))
    await put(b, running, rule('low', echo('1.0')), rule('high', { priority: 5, ...echo('2.0') }))
    await publish(running, 'a', 1)
    await b.settle(running)
    return { seen, running }
  }

  it('all act in order of priority under the policy all', async () => {
    expect((await echoed('all')).seen).toEqual([2, 1])
  })

  it('only the first acts under the policy first', async () => {
    expect((await echoed('first')).seen).toEqual([2])
  })

  it('none acts under the policy exclusive, which is counted', async () => {
    const { seen, running } = await echoed('exclusive')
    expect(seen).toEqual([])
    expect((await running.rules.get('low')).counts).toMatchObject({ matched: 1, acted: 0, conflicts: 1 })
  })
})

describe('the rules of an application', () => {
  it('keep every change, with who made it and why', async () => {
    const b = bench()
    const running = await b.start({})
    await b.drive(running.rules.put([rule('one')], { by: 'ada', reason: 'too many' }))
    await b.drive(running.rules.disable('one'))
    await b.drive(running.rules.remove('one', { by: 'bob' }))
    const changes = await b.drive(running.rules.changes())
    expect(changes.map(({ change }) => [change.change, change.by, change.reason])).toEqual([
      ['put', 'ada', 'too many'],
      ['disable', undefined, undefined],
      ['remove', 'bob', undefined],
    ])
    expect((await b.drive(running.rules.list())).rules).toEqual([])
  })

  it('are the same for every process, whichever made the change', async () => {
    const b = bench()
    const one = seeing()
    const two = seeing()
    const first = await b.start({ handlers: [one.handler], partitions: 4 })
    const second = await b.start({ handlers: [two.handler], partitions: 4 })
    await b.drive(second.rules.put([rule('two', { pattern: { data: { n: [2] } } })]))
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await publish(first, key, 1, 3)
    await b.until(() => one.seen.length + two.seen.length === 12)
    await b.settle(first)
    await b.settle(second)
    expect([...one.seen, ...two.seen].toSorted()).toEqual([...Array(6).fill(1), ...Array(6).fill(3)])
  })

  it('are tried on past events without doing anything', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 4)
    const trial = await b.drive(
      running.rules.try({
        rules: [
          rule('two', { pattern: { data: { n: [2] } } }),
          rule('broken', { when: 'event.data.x == 1' }),
        ],
      }),
    )
    expect(trial).toMatchObject({ looked: 4, matched: { two: 1 }, cut: false })
    expect(trial.hits.filter(({ matched }) => matched.length > 0)).toMatchObject([
      { topic: shop, matched: ['two'], hiddenBy: 'two' },
    ])
    await publish(running, 'a', 5, 6)
    await b.settle(running)
    expect(seen).toEqual([])
    expect((await b.drive(running.rules.try({ limit: 3 }))).cut).toBe(true)
  })

  it('are found again when the process that changed them died before it had told where', async () => {
    const b = bench()
    const { seen, handler } = seeing()
    let calls = 0
    const running = await b.start({
      handlers: [handler],
      fault: (name) => {
        if (name !== 'append:apply') return undefined
        calls += 1
        // The change itself is the second append; the one after it tells where its marks are.
        return calls === 3 ? new Error('gone') : undefined
      },
    })
    await publish(running, 'a', 1)
    await b.drive(running.rules.put([rule('all')]))
    await b.settle(running)
    await b.stop(running, { now: true })
    const again = await b.start({ handlers: [handler] })
    await publish(again, 'a', 2)
    await b.settle(again)
    expect(seen).toEqual([1])
  })

  it.each([
    ['no object', 5, 'rule'],
    ['a name that cannot be', rule('a/b'), 'name'],
    ['a part that there is not', rule('a', { wen: 'true' }), 'rule.wen'],
    ['no action', rule('a', { actions: [] }), 'actions'],
    ['an action of two kinds', rule('a', { actions: [{ drop: true, send: 'x' }] }), 'actions[0]'],
    [
      'an action with a part too many',
      rule('a', { actions: [{ drop: true, data: 'x' }] }),
      'actions[0].data',
    ],
    ['an emit without data', rule('a', { actions: [{ emit: 'test.echoed' }] }), 'actions[0].data'],
    ['a priority that is no number', rule('a', { priority: 'high' }), 'priority'],
    ['an empty pattern', rule('a', { pattern: {} }), 'pattern'],
    ['a condition that is no CEL', rule('a', { when: 'event.' }), /rule 'a', when, line 1/],
    ['a condition over another name', rule('a', { when: 'other == 1' }), "rule 'a', when"],
    [
      'a payload that is no CEL',
      rule('a', { actions: [{ emit: 'test.echoed', data: '{' }] }),
      /actions\[0\]\.data, line/,
    ],
    ['a topic that there is not', rule('a', { actions: [{ move: 'nowhere' }] }), "rule 'a', actions[0].move"],
    [
      'a handler that there is not',
      rule('a', { actions: [{ send: 'nobody' }] }),
      "rule 'a', actions[0].send",
    ],
    [
      'an event type that there is not',
      rule('a', { actions: [{ emit: 'no.type', data: '{}' }] }),
      "rule 'a', actions[0].emit",
    ],
  ])('refuse a rule with %s, and say where', async (_, given, where) => {
    const b = bench()
    const running = await b.start({})
    await expect(b.drive(running.rules.put([rule('fine'), given]))).rejects.toMatchObject({
      where: typeof where === 'string' ? where : expect.stringMatching(where),
    })
    expect((await b.drive(running.rules.list())).rules).toEqual([])
  })

  it('refuse to change a rule that there is not', async () => {
    const b = bench()
    const running = await b.start({})
    for (const change of ['remove', 'enable', 'disable'] as const) {
      await expect(b.drive(running.rules[change]('nobody'))).rejects.toMatchObject({ code: 'RULE_UNKNOWN' })
    }
    await expect(b.drive(running.rules.setPolicy('some' as never))).rejects.toMatchObject({
      code: 'RULE_INVALID',
    })
  })

  it('do not touch what was handled before there were any', async () => {
    const b = bench()
    const { seen, handler } = seeing('echoes', Echoed)
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 5)
    await put(b, running, rule('echo', { actions: [{ emit: 'test.echoed', data: 'event.data' }] }))
    await publish(running, 'a', 6, 7)
    await b.settle(running)
    expect(seen).toEqual(upTo(7, 6))
  })
})
