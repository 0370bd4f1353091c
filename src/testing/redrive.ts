import type { DeadLetter } from '../bus/dead-letter.ts'
import { deadLetterType } from '../bus/dead-letter.ts'
import { type RedriveRequest, redriveType } from '../bus/dead-letter-requests.ts'
import { internalTopics } from '../bus/internal-topics.ts'
import { encodeEvent } from '../core/event-codec.ts'
import type { FaultPlan } from './faults.ts'
import type { SimulatedProcess, World } from './simulated-process.ts'

/** Hands some dead letter back through a process that runs, when there is one, and does not wait for the answer. */
export function redriveOne(world: World, plan: FaultPlan, processes: readonly SimulatedProcess[]): void {
  const letters = world.recorder.log.filter(({ event }) => event.type === deadLetterType)
  const running = processes.flatMap((process) => process.running ?? [])
  if (letters.length === 0 || running.length === 0) return
  const random = plan.random('redrive')
  const { runtime, engine } = random.pick(running)
  const { handler, topic, key, offset, partition } = random.pick(letters).event.data as DeadLetter
  if (!plan.happens('redrive', () => `${topic}/${partition} ${offset} to ${handler}`)) return
  const definition = world.app.handlers.find(({ name }) => name === handler)
  const request: RedriveRequest = { handler, topic, key, offset }
  const timeMs = runtime.now()
  const value = encodeEvent({
    specversion: '1.0',
    id: runtime.id(),
    source: 'operator',
    type: redriveType,
    time: new Date(timeMs).toISOString(),
    partitionkey: key,
    data: request,
  })
  const { redrives } = internalTopics(definition?.options.group ?? world.app.name)
  engine.append([{ topic: redrives, partition, value, timeMs }]).then(
    () => {},
    () => world.recorder.line(`the redrive to ${handler} failed`),
  )
}
