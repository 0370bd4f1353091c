import type { RunningApp } from '../../../src/app/running.ts'
import type { Event } from '../../../src/core/event.ts'
import { probeApp, publishProbe } from '../../../src/testing/probe-app.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import { type Mistake, Mistakes, startAnew } from './mistakes.ts'

const reason = 'nobody wants it'
const wait = { wait: true, waitTimeoutMs: 5_000 } as const

/** Fails at some. */
function lookAt({ id }: Event): void {
  if (id.endsWith('3')) throw new Error('not this one')
}

/** Looks at the dead letters of a process, hands some back and gives some up, as an operator would. */
export async function operateDeadLetters(running: RunningApp, random: SeededRandom): Promise<void> {
  const { deadLetters } = running
  const { name: handler } = random.pick(running.app.handlers)
  const { letters, next } = await deadLetters.list({}, { limit: random.between(1, 3) })
  const letter = letters.length === 0 ? undefined : random.pick(letters)
  if (letter === undefined) return
  const { id, fingerprint: group } = letter
  const ways: readonly (() => Promise<unknown>)[] = [
    () => deadLetters.groups(),
    () => deadLetters.list({ handler }),
    () => deadLetters.list({ group }),
    () => deadLetters.list({ id, handler }),
    async () => next && (await deadLetters.list({ handler: letter.handler }, { from: next })),
    async () => next && (await deadLetters.list({}, { from: next })),
    () => deadLetters.redrive({ handler }),
    () => deadLetters.show(id),
    () => deadLetters.redrive({ id }, wait),
    () => deadLetters.redrive({}, wait),
    () => deadLetters.redrive({}, { wait: true, waitTimeoutMs: 20 }),
    () => Promise.all([deadLetters.redrive({ id }, wait), deadLetters.discard({ id }, { reason, ...wait })]),
    () =>
      Promise.all([
        deadLetters.redrive({ handler: letter.handler }, wait),
        deadLetters.redrive({ id }, wait),
      ]),
    async () => {
      await deadLetters.redrive({ id })
      await deadLetters.discard({ id }, { reason, ...wait })
    },
    () => deadLetters.redrive({ id }, { dryRun: true }),
    () => deadLetters.discard({ id }, { reason }),
    () => deadLetters.discard({ id }, { reason, ...wait }),
    () => deadLetters.discard({ handler }, { reason }),
  ]
  await random.pick(ways)()
}

const mistakes: readonly Mistake[] = [
  ['DEAD_LETTER_UNKNOWN', ({ deadLetters }) => deadLetters.show('nothing')],
  ['DEAD_LETTER_UNKNOWN', ({ deadLetters }) => deadLetters.show('confirm/probe/0/999999')],
  ['DEAD_LETTER_UNKNOWN', ({ deadLetters }) => deadLetters.redrive({ id: 'nobody/probe/0/0' })],
  ['TypeError', ({ deadLetters }) => deadLetters.discard({}, { reason: ' ' })],
  ['TypeError', ({ deadLetters }) => deadLetters.redrive(null as never)],
  ['TypeError', ({ deadLetters }) => deadLetters.redrive({ handler: undefined as never })],
  ['TypeError', ({ deadLetters }) => deadLetters.list({}, { limit: 0 })],
  ['REQUEST_INVALID', ({ deadLetters }) => deadLetters.list({}, { from: 'nowhere' })],
  ['HANDLER_UNKNOWN', ({ deadLetters }) => deadLetters.redrive({ handler: 'nobody' })],
]

/** What an operator asks of a process, which asks the others; nothing of it may change what handlers come to. */
async function lookAround(running: RunningApp, random: SeededRandom): Promise<void> {
  const handler = random.pick(probeApp.handlers)
  const ways: readonly (() => Promise<unknown>)[] = [
    () => running.overview(),
    () => running.read(handler, random.pick(['a', 'b', 'c'])),
    () => running.route({ type: 'probe.placed', data: { key: 'a', number: random.below(100) } }),
    () => running.settled(),
    async () => running.watch([...probeApp.events.values()], lookAt, { maxWaiting: 2 }),
  ]
  await random.pick(ways)()
}

/** {@link probeApp} with somebody who looks at its handlers and dead letters all the time, and hands some back. */
export function simulateOperated(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  const wrong = new Mistakes(mistakes)
  return simulate(probeApp, {
    seed,
    ...course,
    publish: publishProbe,
    start: startAnew(() => wrong.begin()),
    operate: async (running, random) => {
      if (random.chance(0.1)) await wrong.make(running, random)
      if (random.chance(0.3)) await lookAround(running, random)
      await operateDeadLetters(running, random)
    },
    check: () => wrong.check(),
  })
}
