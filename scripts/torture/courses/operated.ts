import type { RunningApp } from '../../../src/app/running.ts'
import type { Event } from '../../../src/core/event.ts'
import { probeApp, publishProbe } from '../../../src/testing/probe-app.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'

const reason = 'nobody wants it'

/** Fails at some. */
function lookAt({ id }: Event): void {
  if (id.endsWith('3')) throw new Error('not this one')
}

/**
 * What an operator asks of a process, which asks the others. Dead letters are handed back and given up, and nothing else of it may
 * change what handlers come to.
 */
async function operate(running: RunningApp, random: SeededRandom): Promise<void> {
  const { deadLetters } = running
  const handler = random.pick(probeApp.handlers)
  const { letters } = await deadLetters.list({}, { limit: random.between(1, 3) })
  const letter = letters.length === 0 ? undefined : random.pick(letters)
  const ways: readonly (() => Promise<unknown>)[] = [
    () => deadLetters.groups(),
    () => deadLetters.list({ handler: handler.name }),
    () => deadLetters.redrive({ handler: handler.name }),
    () => running.overview(),
    () => running.read(handler, random.pick(['a', 'b', 'c'])),
    () => running.route({ type: 'probe.placed', data: { key: 'a', number: random.below(100) } }),
    async () => letter && (await deadLetters.show(letter.id)),
    async () =>
      letter && (await deadLetters.redrive({ id: letter.id }, { wait: true, waitTimeoutMs: 5_000 })),
    async () => letter && (await deadLetters.redrive({ id: letter.id }, { dryRun: true })),
    async () => letter && (await deadLetters.discard({ id: letter.id }, { reason })),
    async () =>
      letter && (await deadLetters.discard({ id: letter.id }, { reason, wait: true, waitTimeoutMs: 5_000 })),
    () => deadLetters.discard({ handler: handler.name }, { reason }),
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
  return simulate(probeApp, { seed, ...course, publish: publishProbe, operate })
}
