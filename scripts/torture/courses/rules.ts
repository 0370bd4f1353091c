import { type App, app } from '../../../src/app/app.ts'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import { command } from '../../../src/core/command.ts'
import { event } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import { type Mistake, Mistakes, startAnew } from './mistakes.ts'

const numbers: Schema<number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as number }) },
}
const key = (number: number) => `k${number % 4}`
const Counted = event('ruled.counted', { schema: numbers, key })
const Echoed = event('ruled.echoed', { schema: numbers, key })
const Asked = command('ruled.asked', { schema: numbers, key, result: numbers })

const retry = { attempts: 3, baseMs: 20 }
const ruled: App = app({
  name: 'ruled',
  topics: { aside: {} },
  handlers: [
    on(Counted, { name: 'keep', retry }, () => undefined),
    on(Counted, { name: 'hold', retry, whenExhausted: 'park' }, () => undefined),
    on(Counted, { name: 'shelve', retry, key: (number) => `shelf-${number % 3}` }, () => undefined),
    on(Counted, { name: 'apart', retry, group: 'apart' }, () => undefined),
    on(Echoed, { name: 'echoes', retry }, () => undefined),
    on(Asked, { name: 'answer', retry }, ({ data }) => data),
  ],
})

const pattern = { type: 'ruled.counted' }
const echo = { emit: 'ruled.echoed', data: 'event.data' }
/** Only one of them sends: two copies for one handler would be two events of one id. */
const pool = [
  { name: 'odd', pattern, when: 'event.data > 50.0', actions: [{ drop: true }] },
  { name: 'low', pattern, when: 'event.data < 40.0', actions: [echo] },
  { name: 'aside', pattern, priority: 5, when: 'event.data > 70.0', actions: [{ move: 'aside' }] },
  {
    name: 'route',
    pattern,
    when: 'event.data >= 30.0 && event.data <= 60.0',
    actions: [{ send: 'shelve' }, { emit: 'ruled.echoed', data: 'event.data + 1.0' }, { drop: true }],
  },
  { name: 'every', description: 'without a condition', pattern, enabled: true, actions: [echo] },
  { name: 'open', when: '!has(event.causationid) && event.data > 80.0', actions: [echo] },
  {
    name: 'by-subject',
    pattern,
    when: 'event.data < 20.0',
    actions: [{ ...echo, subject: '"s" + string(event.data)' }],
  },
  { name: 'content', pattern: { ...pattern, data: { number: [{ numeric: ['>', 3] }] } }, actions: [echo] },
  { name: 'no-answer', pattern, when: 'event.data.number > 3', actions: [echo] },
  { name: 'no-condition', pattern, when: 'event.data', actions: [echo] },
  { name: 'no-subject', pattern, when: 'event.data > 60.0', actions: [{ ...echo, subject: 'event.data' }] },
  {
    name: 'cannot',
    pattern,
    when: 'event.data < 10.0',
    actions: [{ emit: 'ruled.echoed', data: 'event.data.number' }],
  },
  {
    name: 'loses',
    pattern,
    when: 'event.data > 90.0',
    actions: [{ drop: true }, { emit: 'ruled.echoed', data: 'event.data.number' }],
  },
  { name: 'asked', pattern: { type: 'ruled.asked' }, when: 'event.data > 50.0', actions: [echo] },
  { name: 'asked-in-vain', pattern: { type: 'ruled.asked' }, actions: [{ drop: true }] },
]

const action = { drop: true }
const rule = (parts: object) => ({ name: 'wrong', actions: [action], ...parts })
const wrongRules: readonly unknown[] = [
  7,
  rule({ name: 'no name' }),
  rule({ description: 'x'.repeat(70_000) }),
  rule({ priority: 0.5 }),
  rule({ nothing: 1 }),
  rule({ actions: [] }),
  rule({ pattern: {} }),
  rule({ actions: [{ drop: true, move: 'aside' }] }),
  rule({ actions: [{ drop: 1 }] }),
  rule({ actions: [{ send: '' }] }),
  rule({ actions: [{ emit: 'ruled.echoed', data: 'event.' }] }),
  rule({ actions: [{ move: 'nowhere' }] }),
]
const mistakes: readonly Mistake[] = [
  ...wrongRules.map((wrong): Mistake => ['RULE_INVALID', ({ rules }) => rules.put([wrong])]),
  ['TypeError', ({ rules }) => rules.put([])],
  ['RULE_INVALID', ({ rules }) => rules.put([undefined])],
  ['TypeError', ({ rules }) => rules.put([rule({})], { by: 7 as never })],
  ['HANDLER_UNKNOWN', ({ rules }) => rules.put([rule({ actions: [{ send: 'nobody' }] })])],
  ['EVENT_TYPE_UNKNOWN', ({ rules }) => rules.put([rule({ actions: [{ emit: 'nothing', data: '1' }] })])],
  ['RULE_UNKNOWN', ({ rules }) => rules.get('wrong')],
  ['RULE_INVALID', ({ rules }) => rules.setPolicy('some' as never)],
  ['TOPIC_UNKNOWN', ({ rules }) => rules.try({ topic: 'nowhere' })],
]

async function changeRules({ rules }: RunningApp, random: SeededRandom): Promise<void> {
  const kind = random.below(10)
  const rule = random.pick(pool)
  const note = random.chance(0.3) ? { by: 'ann', reason: 'it is time' } : {}
  if (kind < 5) await rules.put([rule, random.pick(pool)], note)
  else if (kind < 6) await rules.setPolicy(random.pick(['all', 'first', 'exclusive']))
  else await rules[random.pick(['enable', 'disable', 'remove'] as const)](rule.name, note)
}

/** Looks at rules, and tries them; nothing of it may change what they do. */
async function lookAtRules({ rules, route }: RunningApp, random: SeededRandom): Promise<void> {
  const given = random.chance(0.5) ? { rules: [random.pick(pool), random.pick(pool)] } : {}
  const policy = random.chance(0.5) ? { policy: 'first' as const } : {}
  const topic = random.chance(0.3) ? { topic: random.pick(['ruled', 'aside']) } : {}
  const from = random.chance(0.3) ? { fromMs: 0, limit: 2 } : {}
  const type = random.pick([Counted.type, Asked.type])
  const to = random.chance(0.1) ? { millraceto: 'shelve' } : {}
  const ways: readonly (() => Promise<unknown>)[] = [
    () => rules.list(),
    async () => rules.get(random.pick((await rules.list()).rules)?.rule.name ?? pool[0]?.name ?? ''),
    () => rules.changes(),
    () => rules.try({ ...given, ...policy, ...topic, ...from }),
    () => route({ type, data: random.below(100), ...to }),
  ]
  await random.pick(ways)()
}

/** Rules are put, switched, removed and given another policy through any process that runs, while everything fails. */
export function simulateRules(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  const wrong = new Mistakes(mistakes)
  return simulate(ruled, {
    seed,
    events: 40,
    ...course,
    faults: faultKinds,
    publish: (random) => {
      const data = random.below(100)
      return random.chance(0.1) ? { type: Asked, data, command: 'submit' } : { type: Counted, data }
    },
    start: startAnew(() => wrong.begin()),
    operate: async (running, random) => {
      if (random.chance(0.3)) await lookAtRules(running, random)
      if (random.chance(0.1)) await wrong.make(running, random)
      await changeRules(running, random)
    },
    check: () => wrong.check(),
  })
}
