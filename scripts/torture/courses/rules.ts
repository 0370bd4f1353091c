import { type App, app } from '../../../src/app/app.ts'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import { event } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'

const numbers: Schema<number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as number }) },
}
const Counted = event('ruled.counted', { schema: numbers, key: (number) => `k${number % 4}` })
const Echoed = event('ruled.echoed', { schema: numbers, key: (number) => `k${number % 4}` })

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
  ],
})

const pattern = { type: 'ruled.counted' }
/** Only one of them sends: two copies for one handler would be two events of one id. */
const pool = [
  { name: 'odd', pattern, when: 'event.data > 50.0', actions: [{ drop: true }] },
  {
    name: 'low',
    pattern,
    when: 'event.data < 40.0',
    actions: [{ emit: 'ruled.echoed', data: 'event.data' }],
  },
  { name: 'aside', pattern, priority: 5, when: 'event.data > 70.0', actions: [{ move: 'aside' }] },
  {
    name: 'route',
    pattern,
    when: 'event.data >= 30.0 && event.data <= 60.0',
    actions: [{ send: 'shelve' }, { emit: 'ruled.echoed', data: 'event.data + 1.0' }, { drop: true }],
  },
]

async function changeRules({ rules }: RunningApp, random: SeededRandom): Promise<void> {
  const kind = random.below(10)
  const rule = random.pick(pool)
  if (kind < 5) await rules.put([rule, random.pick(pool)])
  else if (kind < 6) await rules.setPolicy(random.pick(['all', 'first', 'exclusive']))
  else await rules[random.pick(['enable', 'disable', 'remove'] as const)](rule.name)
}

/** Rules are put, switched, removed and given another policy through any process that runs, while everything fails. */
export function simulateRules(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(ruled, {
    seed,
    events: 40,
    ...course,
    faults: faultKinds,
    publish: (random) => ({ type: Counted, data: random.below(100) }),
    operate: changeRules,
  })
}
