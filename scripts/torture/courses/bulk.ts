import { type App, app } from '../../../src/app/app.ts'
import type { RunningApp } from '../../../src/app/running.ts'
import { type HandlerContext, on } from '../../../src/bus/definitions.ts'
import { publishBounds } from '../../../src/bus/publish-room.ts'
import { windowBounds } from '../../../src/bus/subscription.ts'
import { type EventType, event, type IncomingEvent } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import { startAnew } from './mistakes.ts'

interface Load {
  readonly key: string
  /** The first attempt lasts until its time is over. */
  readonly stalls?: boolean
  readonly text?: string
}

const loads: Schema<Load> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as Load }) },
}
const texts: Schema<string> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as string }) },
}
/** Each in a topic of its own, so that what one is full of leaves the others alone. */
const declare = (type: string) => event(type, { schema: loads, key: ({ key }) => key, topic: type })
const Long = declare('bulk-long')
const Many = declare('bulk-many')
const Large = declare('bulk-large')
const Spread = declare('bulk-spread')
const Kept = declare('bulk-kept')
const Stalled = declare('bulk-idle')
const Idle = event('bulk-idle-too', { schema: loads, key: ({ key }) => key, topic: 'bulk-idle' })

const options = { from: 'start', retry: { attempts: 3, baseMs: 20 }, timeoutMs: 5_000 } as const

async function stall({ data }: { readonly data: Load }, ctx: HandlerContext): Promise<void> {
  if (!data.stalls || ctx.attempt > 1 || ctx.signal.aborted) return
  await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
}

const bulk: App = app({
  name: 'bulk',
  events: [Idle],
  handlers: [
    on(Long, { ...options, name: 'long' }, stall),
    on(Many, { ...options, name: 'narrow', concurrency: 1 }, stall),
    on(Large, { ...options, name: 'large' }, stall),
    on(Spread, { ...options, name: 'spread' }, stall),
    on(Stalled, { ...options, name: 'idle' }, stall),
    on(Kept, { ...options, name: 'keep', state: { text: texts } }, ({ data }, ctx) => {
      ctx.state.text.set((data.text ?? '').repeat(3_000_000))
    }),
  ],
})

/** Something that a bound of the processor is reached by. */
type Fill = (running: RunningApp) => Promise<unknown>

/** What is accepted, all of it at once; the first of a key stalls. */
function accepted(
  type: EventType<string, Load>,
  name: string,
  all: readonly Load[],
): readonly IncomingEvent[] {
  return all.map((data, index) => {
    const first = index === 0 ? { ...data, stalls: true } : data
    return { specversion: '1.0', id: `${name}-${index}`, source: 'bulk', type: type.type, data: first }
  })
}

const listOf = (length: number, of: (index: number) => Load) =>
  Array.from({ length }, (_, index) => of(index))

/** One after the other, so that each course has them all. */
const fills: readonly Fill[] = [
  ({ accept }) =>
    accept(
      accepted(
        Long,
        'long',
        listOf(windowBounds.perKey + 50, () => ({ key: 'a' })),
      ),
    ),
  ({ accept }) =>
    accept(
      accepted(
        Many,
        'many',
        listOf(windowBounds.ahead + 100, (index) => ({ key: `k${index % 5}` })),
      ),
    ),
  ({ accept }) => {
    const text = 'x'.repeat(450_000)
    return accept(
      accepted(
        Large,
        'large',
        listOf(windowBounds.bytes / 450_000 + 4, () => ({ key: 'a', text })),
      ),
    )
  },
  async ({ accept }) => {
    await accept(
      accepted(
        Kept,
        'kept',
        listOf(8, (index) => ({ key: `k${index}`, text: 'x' })),
      ),
    )
    await accept(
      accepted(
        Kept,
        'kept-again',
        listOf(8, (index) => ({ key: `k${index}`, text: 'y' })),
      ),
    )
  },
  ({ accept }) =>
    accept(
      accepted(
        Spread,
        'spread',
        listOf(1_100, (index) => ({ key: `k${index}` })),
      ),
    ),
  overfill,
]

/** More is on its way to the log than there is room for: some waits, and what is too much must be refused, as `true` says. */
async function overfill({ accept, publish }: RunningApp): Promise<boolean> {
  await publish(Stalled, { key: 'a', stalls: true }, { id: 'stalled' })
  const half = Math.ceil(publishBounds.inFlight * 0.51)
  const part = (name: string) =>
    accept(
      accepted(
        Idle,
        name,
        listOf(half, () => ({ key: 'a' })),
      ),
    )
  const [gaveUp, late] = [new AbortController(), AbortSignal.abort(new Error('too late'))]
  const given = { key: 'a' }
  const all = [part('first'), part('second'), part('third'), publish(Idle, given, { signal: gaveUp.signal })]
  all.push(publish(Idle, given, { signal: late }) as never, publish(Idle, given) as never)
  gaveUp.abort(new Error('gave up'))
  const told = (await Promise.allSettled(all)).map(({ status }) => status)
  return told[2] === 'rejected'
}

/** So much at once that what is held in memory comes to its bounds: of a key, a handler, a place, all cells, and the way to the log. */
export function simulateBulk(
  seed: number,
  course: Pick<SimulateOptions, 'twice'> = {},
): Promise<SimulationReport> {
  let done = 0
  let isTooMuchTaken = false
  return simulate(bulk, {
    seed,
    ...course,
    events: 5,
    steps: 4_000,
    processes: 2,
    partitions: 1,
    faults: { handler: 0.01, crash: 0.0002, session: 0.0002 },
    publish: (random) => ({ type: Long, data: { key: random.pick(['a', 'b']) } }),
    start: startAnew(() => {
      done = 0
      isTooMuchTaken = false
    }),
    check: () => {
      if (isTooMuchTaken) throw new Error('more was taken than may be on its way to the log')
    },
    operate: async (running) => {
      done += 1
      if ((await fills[done - 1]?.(running)) === false) isTooMuchTaken = true
    },
  })
}
