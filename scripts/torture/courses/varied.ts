import { app as makeApp } from '../../../src/app/app.ts'
import type { RunningApp } from '../../../src/app/running.ts'
import { start } from '../../../src/app/start.ts'
import { type HandlerDefinition, on } from '../../../src/bus/definitions.ts'
import type { Published } from '../../../src/bus/publisher.ts'
import { event } from '../../../src/core/event.ts'
import type { Publication } from '../../../src/testing/publishers.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import type { StartFunction } from '../../../src/testing/simulated-process.ts'
import { type Mistake, Mistakes, startAnew } from './mistakes.ts'
import { operateDeadLetters } from './operated.ts'
import { Ask, Loose, Noted, Paper, type Telling, Told, Undeclared, variedApp, ways } from './varied-app.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

function telling(random: SeededRandom): Telling {
  return { n: random.below(100), way: random.chance(0.005) ? 'set too much' : random.pick(ways) }
}

function publishVaried(random: SeededRandom): Publication {
  const data = telling(random)
  const subject = random.pick(['s.1', 's.2', 't'])
  const options = random.pick([
    {},
    { subject, correlationid: 'chain', traceparent },
    { time: new Date(0), topic: 'varied' },
    { wait: 'handled' as const },
    { wait: 'handled' as const, waitTimeoutMs: 5 },
    { delay: 10 },
  ])
  const kind = random.below(10)
  if (kind < 5) return { type: Told, data, options }
  if (kind < 6) return { type: Loose, data, options: { subject } }
  if (kind < 7) return { type: Noted, data: data.n }
  if (kind < 8) return { type: Ask, data, command: random.pick(['request', 'submit']) }
  if (kind < 9) return { type: Undeclared, data: data.n }
  const text = `<paper><n>${random.chance(0.8) ? data.n : 'none'}</n></paper>`
  return { type: Paper, data: text.replace('<n>none</n>', ''), options: { datacontenttype: 'text/xml' } }
}

const attributes = { specversion: '1.0', source: 'outside' } as const
const wrongly = { n: 'x'.repeat(30_000), way: 'nothing' } as const
const NotThis = event('varied.told', { schema: Told.schema })
const mistakes: readonly Mistake[] = [
  ['TypeError', (running) => running.publish(Told.type as never, {} as never)],
  ['TypeError', ({ publish }) => publish(NotThis, { n: 1, way: 'nothing' })],
  ['DATA_INVALID', ({ publish }) => publish(Told, 7 as never)],
  ['EVENT_TOO_LARGE', ({ publish }) => publish(Told, wrongly as never)],
  ['EVENT_INVALID', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { subject: '' })],
  ['TypeError', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { time: new Date('never') })],
  ['TOPIC_UNKNOWN', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { topic: 'nowhere' })],
  ['TypeError', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { wait: 'done' as never })],
  ['TypeError', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { wait: 'handled', delay: 1 })],
  ['TypeError', ({ publish }) => publish(Told, { n: 1, way: 'nothing' }, { delay: -1 })],
  ['OUTBOX_ABSENT', ({ publishIn }) => publishIn({}, Told, { n: 1, way: 'nothing' })],
  ['EVENT_TYPE_UNKNOWN', ({ accept }) => accept([{ ...attributes, id: 'x', type: 'none', data: 1 }])],
  [
    'EVENT_INVALID',
    ({ accept }) => accept([{ ...attributes, id: 'x', type: Noted.type, data: 1, millraceto: 'notes' }]),
  ],
  ['DATA_INVALID', ({ accept }) => accept([{ ...attributes, id: 'x', type: Noted.type, data: -1 }])],
  [
    'DATA_INVALID',
    ({ accept }) =>
      accept([-1, 1].map((data, id) => ({ ...attributes, id: `x${id}`, type: Noted.type, data }))),
  ],
  [
    'EVENT_TYPE_UNKNOWN',
    ({ accept }) => accept(['x', 'y'].map((id) => ({ ...attributes, id, type: 'none', data: 1 }))),
  ],
  [
    'DATA_INVALID',
    ({ accept }) => accept([{ ...attributes, id: 'x', type: Told.type, data: 1 }], { topic: 'varied' }),
  ],
  ['HANDLER_UNKNOWN', ({ send }) => send('nobody', Noted, 1)],
  ['EVENT_NOT_HANDLED', ({ send }) => send('notes', Told, { n: 1, way: 'nothing' })],
  ['TypeError', ({ send }) => send(undefined as never, Noted as never, 1 as never)],
  ['TypeError', ({ send }) => send('notes', undefined as never, 1 as never)],
  ['TypeError', ({ send }) => send('notes', Noted, 1, { topic: 'varied' } as never)],
  ['TypeError', ({ request }) => request(Told as never, { n: 1, way: 'nothing' } as never)],
  ['RESULT_UNKNOWN', ({ result }) => result('nothing')],
  ['RESULT_UNKNOWN', ({ result }) => result(7 as never)],
  ['RESULT_UNKNOWN', ({ result }) => result('varied.0.999999')],
  ['RESULT_UNKNOWN', ({ result }) => result('nowhere.0.1')],
  ['HANDLER_UNKNOWN', ({ read }) => read({ name: 'nobody' } as never, 'k1')],
  ['TypeError', async ({ watch }) => watch([], () => undefined)],
  ['TypeError', async ({ watch }) => watch(Told, undefined as never)],
]

/** Everything that comes in by another way than `publish`; what was acknowledged is to be there in the end. */
class Outsiders {
  #acknowledged: Published[] = []

  begin(): void {
    this.#acknowledged = []
  }

  async come(running: RunningApp, random: SeededRandom): Promise<void> {
    const data = telling(random)
    const id = `o${random.below(2 ** 31)}`
    const outside = { ...attributes, id, data: data.n, type: Noted.type }
    const told = {
      ...attributes,
      id,
      data,
      type: Told.type,
      subject: 's.1',
      traceparent,
      otherattribute: 'kept',
    }
    const both = [outside, { ...told, id: `${id}-2`, dataversion: 7 }]
    const ended = AbortSignal.abort(new Error('gave up'))
    const ways: readonly (() => Promise<readonly Published[]>)[] = [
      () => running.accept([outside]),
      () => running.accept([told]),
      () => running.accept(both),
      () => running.accept(both, { topic: 'varied' }),
      () => running.accept([]),
      async () => [await running.send('ways', Told, data, { id })],
      async () => [await running.send('notes', Noted, data.n, { id, wait: 'handled', waitTimeoutMs: 2_000 })],
      async () => [await running.send('filtered', Told, data, { id, wait: 'handled', waitTimeoutMs: 2_000 })],
      async () => [await running.publish(Told, data, { id, wait: 'handled', signal: ended })],
      async () => [await running.publish(Loose, data, { id, at: new Date(running.runtime.now() + 50) })],
      async () => [await running.submit(Ask, data, { id })],
      async () => [await running.publish(Told, data, { id, subject: null as never })],
    ]
    this.#acknowledged.push(...(await random.pick(ways)()))
  }

  check({ history }: SimulationReport): void {
    const places = new Map(history.log.map((at) => [`${at.topic}/${at.partition} ${at.offset}`, at.event.id]))
    for (const { topic, partition, offset, id } of this.#acknowledged)
      if (places.get(`${topic}/${partition} ${offset}`) !== id)
        throw new Error(`'${id}' was accepted and is gone`)
  }
}

async function lookAround(running: RunningApp, random: SeededRandom): Promise<void> {
  const { route, watch } = running
  const stopped = new AbortController()
  const data = telling(random)
  const type = random.pick([Told.type, Loose.type, Noted.type, 'nothing'])
  const ways: readonly (() => unknown)[] = [
    () => route({ type, data, subject: random.pick(['s.1', 't']) }),
    () => route({ type, data, millraceto: 'ways' }),
    () => route({ type: Paper.type, data: '<paper><n>70</n></paper>', datacontenttype: 'text/xml' }),
    () => route({ type: Paper.type, data: '<paper', datacontenttype: 'text/xml' }),
    () => {
      watch(Told, () => Promise.reject(new Error('not this one')), { signal: stopped.signal })
      running.runtime.spawn('watching', () => running.runtime.sleep(50).then(() => stopped.abort()))
    },
    () => watch([Told, Noted], () => undefined, { signal: AbortSignal.abort() })[Symbol.dispose](),
  ]
  await random.pick(ways)()
}

/** Does its work at once, which no handler that is watched can: it waits for nothing, throws at once, and begins again. */
class AtOnce {
  readonly #handled = new Set<string>()
  readonly definition = on(
    Told,
    { name: 'at-once', from: 'start', retry: { attempts: 2, baseMs: 10 } },
    ({ id, data }, ctx) => {
      if (data.n % 7 === 0 && ctx.attempt === 1) throw new Error('not at once')
      if (data.n % 11 === 0) throw new TypeError('never')
      this.#handled.add(id)
    },
  ) as unknown as HandlerDefinition

  begin(): void {
    this.#handled.clear()
  }

  /** Starts an application with this handler too. */
  readonly start: StartFunction = (app, options) => {
    const { handlers, events, routes, topics, maxEventBytes = 0 } = app
    const withThis = { handlers: [...handlers, this.definition], events: [...events.values()] }
    return start(makeApp({ name: app.name, ...withThis, routes, topics, maxEventBytes }), options)
  }

  check({ history }: SimulationReport): void {
    const { name } = this.definition
    const gaveUp = new Set(history.deadLetters.flatMap(({ handler, id }) => (handler === name ? id : [])))
    for (const { event, topic } of history.log) {
      if (event.type !== Told.type || topic !== 'varied') continue
      const isOurs = event.millraceto === undefined || event.millraceto === name
      const isNever = (event.data as Telling).n % 11 === 0
      if (isOurs && this.#handled.has(event.id) === isNever)
        throw new Error(`'${event.id}' was not handled at once`)
      if (isOurs && isNever !== gaveUp.has(event.id))
        throw new Error(`'${event.id}' is no dead letter, or one in vain`)
    }
  }
}

/** Whatever handlers, publishers and operators can do, right and wrong, while everything fails. */
export function simulateVaried(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  const [wrong, outsiders, atOnce] = [new Mistakes(mistakes), new Outsiders(), new AtOnce()]
  return simulate(variedApp, {
    seed,
    ...course,
    start: startAnew(() => {
      for (const one of [wrong, outsiders, atOnce]) one.begin()
    }, atOnce.start),
    publish: publishVaried,
    operate: async (running, random) => {
      if (random.chance(0.1)) await wrong.make(running, random)
      if (random.chance(0.3)) await lookAround(running, random)
      if (random.chance(0.6)) await operateDeadLetters(running, random)
      else await outsiders.come(running, random)
    },
    check: (report) => {
      wrong.check()
      outsiders.check(report)
      atOnce.check(report)
    },
  })
}
