import fc from 'fast-check'
import { app, event, on, start } from 'millrace'
import { ruleset } from 'millrace/rules'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

const loyalty = ruleset('loyalty', {
  facts: {
    total: z.number().default(0),
    amount: z.number(),
    tier: z.enum(['none', 'silver', 'gold']).default('none'),
    discount: z.number().default(0),
  },
  rules: [
    { name: 'discount of gold', when: "tier == 'gold'", set: { discount: '0.1' } },
    { name: 'silver', when: "total >= 100.0 && tier == 'none'", set: { tier: "'silver'" } },
    {
      name: 'gold',
      priority: 1,
      when: (facts) => facts.total >= 1_000,
      set: () => ({ tier: 'gold' as const }),
    },
  ],
})

describe('a ruleset', () => {
  it('fires rules until nothing changes, so that one can make another hold', async () => {
    const { facts, firings, rounds } = await loyalty.run({ total: 1_200, amount: 5 })
    expect(facts).toEqual({ total: 1_200, amount: 5, tier: 'gold', discount: 0.1 })
    expect(rounds).toBe(2)
    expect(firings).toEqual([
      { rule: 'gold', round: 1, because: { total: 1_200 }, set: { tier: { from: 'none', to: 'gold' } } },
      {
        rule: 'discount of gold',
        round: 1,
        because: { tier: 'gold' },
        set: { discount: { from: 0, to: 0.1 } },
      },
    ])
  })

  it('tries rules by priority, and then as they are listed', async () => {
    const order = ruleset('order', {
      facts: { trace: z.string().default('') },
      rules: ['low', 'first', 'second', 'high'].map((name, index) => ({
        name,
        priority: [-1, 0, 0, 5][index] ?? 0,
        when: ({ trace }: { trace: string }) => !trace.includes(name),
        set: ({ trace }: { trace: string }) => ({ trace: `${trace} ${name}` }),
      })),
    })
    expect((await order.run({})).facts.trace).toBe(' high first second low')
  })

  it('refuses to go on for ever, and says which rules do not end', async () => {
    const counting = ruleset('counting', {
      facts: { count: z.number().default(0) },
      rules: [{ name: 'one more', when: 'count >= 0.0', set: { count: 'count + 1.0' } }],
      maxRounds: 7,
    })
    await expect(counting.run({})).rejects.toMatchObject({
      code: 'RULES_UNENDING',
      message: expect.stringContaining('one more'),
      facts: { firings: expect.arrayContaining([expect.objectContaining({ round: 7 })]) },
    })
  })

  it('lists a rule that cannot be evaluated, and goes on with the others', async () => {
    const some = ruleset('some', {
      facts: { missing: z.number(), seen: z.boolean().default(false) },
      rules: [
        { name: 'reads what is missing', when: 'missing > 1.0', set: { seen: 'false' } },
        {
          name: 'throws',
          when: () => {
            throw new Error('broken')
          },
          set: {},
        },
        { name: 'is no condition', when: "'yes'", set: {} },
        { name: 'works', when: '!seen', set: { seen: 'true' } },
      ],
    })
    const { facts, problems } = await some.run({})
    expect(facts.seen).toBe(true)
    expect(problems).toEqual([
      { rule: 'reads what is missing', problem: expect.stringMatching(/missing/) },
      { rule: 'throws', problem: 'broken' },
      { rule: 'is no condition', problem: expect.stringContaining('"yes"') },
    ])
  })

  it('tries a rule again when a fact that was missing has come', async () => {
    const late = ruleset('late', {
      facts: { found: z.number(), known: z.boolean().default(false) },
      rules: [
        { name: 'known', when: 'found > 0.0', set: { known: 'true' } },
        { name: 'find', when: '!known', set: { found: '1.0' } },
      ],
    })
    const { facts, problems } = await late.run({})
    expect([facts.known, problems]).toEqual([true, []])
  })

  it('refuses facts that it does not know or that do not match, also those that rules set', async () => {
    const invalid = (where: RegExp) =>
      expect.objectContaining({ code: 'FACT_INVALID', message: expect.stringMatching(where) })
    await expect(loyalty.run({ amount: 'much' as never })).rejects.toEqual(invalid(/fact 'amount'/))
    await expect(loyalty.run({ price: 1 } as never)).rejects.toEqual(invalid(/no fact 'price'/))
    const wrong = ruleset('wrong', {
      facts: { tier: z.enum(['none', 'gold']).default('none') },
      rules: [{ name: 'platinum', when: 'true', set: { tier: "'platinum'" } }],
    })
    await expect(wrong.run({})).rejects.toEqual(invalid(/rule 'platinum'/))
  })

  it('refuses expressions over other names, with the rule that they stand in', () => {
    const declare = () =>
      ruleset('r', {
        facts: { total: z.number() },
        rules: [{ name: 'x', when: 'totl > 1.0', set: { total: '1.0' } }],
      })
    expect(declare).toThrow(
      expect.objectContaining({ code: 'RULE_INVALID', where: "ruleset 'r', rule 'x', when" }),
    )
  })

  it('comes to the same conclusion from the same facts, at which no rule changes anything', async () => {
    const facts = fc.record({
      total: fc.double({ min: 0, max: 2_000, noNaN: true }),
      amount: fc.integer(),
    })
    await fc.assert(
      fc.asyncProperty(facts, async (given) => {
        const once = await loyalty.run(given)
        expect(await loyalty.run(given)).toEqual(once)
        const again = await loyalty.run(once.facts)
        expect(again.firings).toEqual([])
      }),
    )
  })
})

const names = ['a', 'b', 'c', 'd'] as const
type Flags = Readonly<Record<(typeof names)[number], boolean>>
const implication = fc.record({ needs: fc.subarray([...names]), gives: fc.constantFrom(...names) })

/** The closure of implications, computed by the plainest of loops. */
function closure(flags: Flags, rules: readonly { needs: string[]; gives: string }[]): Flags {
  const held = new Set(names.filter((name) => flags[name]).map(String))
  for (let before = -1; before !== held.size; ) {
    before = held.size
    for (const { needs, gives } of rules) if (needs.every((need) => held.has(need))) held.add(gives)
  }
  return Object.fromEntries(names.map((name) => [name, held.has(name)])) as Flags
}

describe('forward chaining', () => {
  it('finds whatever follows, in CEL and in functions alike', async () => {
    const flags = fc.record({ a: fc.boolean(), b: fc.boolean(), c: fc.boolean(), d: fc.boolean() })
    const schemas = Object.fromEntries(names.map((name) => [name, z.boolean()]))
    await fc.assert(
      fc.asyncProperty(flags, fc.array(implication, { maxLength: 8 }), async (given, rules) => {
        const inCel = ruleset('cel', {
          facts: schemas,
          rules: rules.map(({ needs, gives }, index) => ({
            name: `rule ${index}`,
            when: needs.join(' && ') || 'true',
            set: { [gives]: 'true' },
          })),
        })
        const inFunctions = ruleset('functions', {
          facts: schemas,
          rules: rules.map(({ needs, gives }, index) => ({
            name: `rule ${index}`,
            when: (facts) => needs.every((need) => facts[need] === true),
            set: () => ({ [gives]: true }),
          })),
        })
        expect((await inCel.run(given)).facts).toEqual(closure(given, rules))
        expect((await inFunctions.run(given)).facts).toEqual(closure(given, rules))
      }),
    )
  })
})

describe('a ruleset in a handler', () => {
  it('runs over the state of the key, and what it changes commits with the event', async () => {
    const Placed = event('order.placed', {
      schema: z.object({ customer: z.string(), amount: z.number() }),
      key: ({ customer }) => customer,
    })
    const rank = on(
      Placed,
      {
        name: 'rank',
        from: 'start',
        state: { total: z.number().default(0), tier: z.enum(['none', 'silver', 'gold']).default('none') },
      },
      async ({ data }, ctx) => {
        const total = (await ctx.state.total.get()) + data.amount
        ctx.state.total.set(total)
        await loyalty.apply(ctx, { total, amount: data.amount })
      },
    )
    const running = await start(app({ name: 'ranks', handlers: [rank] }), { log: 'memory:' })
    for (const amount of [60, 50, 900]) await running.publish(Placed, { customer: 'ada', amount })
    await running.publish(Placed, { customer: 'bob', amount: 10 })
    await running.settled()
    expect(await running.read(rank, 'ada')).toEqual({ total: 1_010, tier: 'gold' })
    expect(await running.read(rank, 'bob')).toEqual({ total: 10, tier: 'none' })
    await running.stop()
  })
})
