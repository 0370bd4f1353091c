import { type App, app } from '../app/app.ts'
import { every, on } from '../bus/definitions.ts'
import { command, failed } from '../core/command.ts'
import { event } from '../core/event.ts'
import type { Schema } from '../core/schema.ts'
import { writeFaultRates } from './faults.ts'
import type { Publication } from './publishers.ts'
import type { SeededRandom } from './random.ts'
import type { SimulationSettings } from './simulation.ts'

function trusted<T>(): Schema<T> {
  return { '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as T }) } }
}

function startingAt(initial: number): Schema<number | undefined, number> {
  return {
    '~standard': {
      version: 1,
      vendor: 'millrace',
      validate: (value) => ({ value: (value as number | undefined) ?? initial }),
    },
  }
}

interface Order {
  readonly key: string
  readonly number: number
}

const keyOfOrder = (order: Order) => order.key

/** What is published in {@link probeApp}. */
export const Placed = event('probe.placed', { schema: trusted<Order>(), key: keyOfOrder })
const reservation = trusted<{ readonly reserved: number; readonly attempt: number; readonly atMs: number }>()
const Reserve = command('probe.reserve', {
  schema: trusted<Order>(),
  key: keyOfOrder,
  result: reservation,
  failure: reservation,
  resultTtlMs: 365 * 24 * 60 * 60 * 1000,
})
const Confirmed = event('probe.confirmed', { schema: trusted<Order>(), key: keyOfOrder })
const Shipped = event('probe.shipped', { schema: trusted<Order>(), key: keyOfOrder, topic: 'probe-shipping' })
const Reminded = event('probe.reminded', { schema: trusted<Order>(), key: keyOfOrder })

/** Everything may go that no handler needs any more. */
const retention = { maxBytes: 0 }

const retry = { attempts: 3, baseMs: 50, maxMs: 2_000 }

const confirm = on(
  Placed,
  { name: 'confirm', from: 'start', retry, timeoutMs: 5_000, state: { orders: startingAt(0) } },
  async ({ data }, ctx) => {
    const orders = (await ctx.state.orders.get()) + 1
    ctx.state.orders.set(orders)
    ctx.emit(Confirmed, { ...data, number: orders })
    if (data.number % 3 === 0) ctx.emit(Reminded, data, { delay: (data.number % 7) * 1_000 })
  },
)

const ship = on(
  Confirmed,
  { name: 'ship', from: 'start', retry, timeoutMs: 5_000 },
  async ({ data }, ctx) => {
    const label = await ctx.once('label', (idempotencyKey) => idempotencyKey)
    if (data.number % 2 === 0) await ctx.once('parcel', () => label.length)
    ctx.emit(Shipped, data)
  },
)

const bill = on(
  [Placed, Reminded],
  {
    name: 'bill',
    from: 'start',
    retry: { attempts: 2, baseMs: 20 },
    timeoutMs: 2_000,
    whenExhausted: 'park',
    concurrency: 3,
    state: { total: startingAt(0) },
  },
  async ({ data }, ctx) => ctx.state.total.set((await ctx.state.total.get()) + data.number),
)

const archive = on(
  Shipped,
  { name: 'archive', group: 'probe-archive', from: 'start', retry },
  () => undefined,
)

const audit = on(
  [Confirmed, Shipped],
  { name: 'audit', from: 'start', retry, timeoutMs: 3_000, state: { seen: startingAt(0) } },
  async (_event, ctx) => ctx.state.seen.set((await ctx.state.seen.get()) + 1),
)

const mirror = on(
  Confirmed,
  { name: 'mirror', from: 'start', catchUp: 'silent', retry, timeoutMs: 3_000 },
  async (_event, ctx) => {
    await ctx.once('copy', () => 'copied', { whenSilent: 'copied before' })
  },
)

const dispatch = on(
  [Placed, Shipped],
  {
    name: 'dispatch',
    from: 'start',
    key: ({ number }) => `courier-${number % 4}`,
    retry,
    timeoutMs: 5_000,
    state: { orders: startingAt(0) },
  },
  async ({ type, data }, ctx) => {
    ctx.state.orders.set((await ctx.state.orders.get()) + 1)
    await ctx.once('call', (idempotencyKey) => idempotencyKey)
    if (type === Placed.type && data.number % 5 === 0) ctx.send('ship', Confirmed, data)
  },
)

const survey = on(
  Confirmed,
  {
    name: 'survey',
    group: 'probe-archive',
    from: 'start',
    catchUp: 'silent',
    key: ({ number }) => `shelf-${number % 3}`,
    retry: { attempts: 2, baseMs: 20 },
    whenExhausted: 'park',
    timeoutMs: 3_000,
  },
  async (_event, ctx) => {
    await ctx.once('copy', () => 'copied', { whenSilent: 'copied before' })
  },
)

const reserve = on(
  Reserve,
  {
    name: 'reserve',
    group: 'probe-archive',
    from: 'start',
    retry,
    timeoutMs: 5_000,
    state: { reserved: startingAt(0) },
  },
  async ({ data }, ctx) => {
    const reserved = (await ctx.state.reserved.get()) + 1
    ctx.state.reserved.set(reserved)
    ctx.emit(Confirmed, { ...data, number: reserved })
    // Another attempt decides otherwise.
    const seen = { reserved, attempt: ctx.attempt, atMs: ctx.now() }
    return data.number % 4 === 0 ? failed(seen) : seen
  },
)

const sweep = every(
  '*/30 * * * * *',
  { name: 'sweep', retry, state: { sweeps: startingAt(0) } },
  async (_tick, ctx) => {
    ctx.state.sweeps.set((await ctx.state.sweeps.get()) + 1)
  },
)

/**
 * An application that uses what the processor has: chains of handlers, state, delays, `once`, two topics, a second
 * group, a schedule, a command, retention, silent catching up, keys other than those of the topic, events sent to one handler, and both
 * answers to exhausted attempts.
 */
export const probeApp: App = app({
  name: 'probe',
  handlers: [confirm, ship, bill, archive, audit, mirror, dispatch, survey, reserve, sweep],
  topics: { probe: { retention }, 'probe-shipping': { retention } },
})

const newer = new Set(['audit', 'mirror', 'survey'])

/** {@link probeApp} before it had some of its handlers. */
export const olderProbeApp: App = app({
  name: probeApp.name,
  handlers: probeApp.handlers.filter(({ name }) => !newer.has(name)),
  topics: probeApp.topics,
  events: [...probeApp.events.values()],
})

const keys = ['a', 'b', 'c', 'd', 'e']

/** Publishes {@link Placed} for few keys, sometimes with a delay, sometimes waiting until it is handled; and commands. */
export function publishProbe(random: SeededRandom): Publication {
  const data: Order = { key: random.pick(keys), number: random.below(100) }
  if (random.chance(0.1)) return { type: Placed, data, options: { delay: random.between(1, 5_000) } }
  if (random.chance(0.25)) return { type: Reserve, data, command: random.pick(['request', 'submit']) }
  return random.chance(0.2) ? { type: Placed, data, options: { wait: 'handled' } } : { type: Placed, data }
}

/** The command that simulates {@link probeApp} again. */
export function replayProbe(settings: SimulationSettings): string {
  const { seed, steps, rates, engine, processes, partitions, events, without } = settings
  const on = engine === 'memory' ? '' : ` --engine ${engine}`
  const left = without.length === 0 ? '' : ` --without ${ranges(without)}`
  return `npm run simulate -- --seed ${seed} --steps ${steps} --events ${events} --processes ${processes} --partitions ${partitions} --faults '${writeFaultRates(rates)}'${on}${left}`
}

/** Numbers in ascending order, those that follow one another as `first-last`. */
function ranges(numbers: readonly number[]): string {
  const found: [number, number][] = []
  for (const number of [...numbers].sort((one, other) => one - other)) {
    const last = found.at(-1)
    if (last !== undefined && last[1] + 1 >= number) last[1] = number
    else found.push([number, number])
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
