import { type App, app } from '../../../src/app/app.ts'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import type { SourceBatch, SourceDefinition } from '../../../src/bus/source.ts'
import { type Event, event } from '../../../src/core/event.ts'
import { encodeEvent } from '../../../src/core/event-codec.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { partitionOf } from '../../../src/log/partition.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'

function schemaOf<Output>(validate: (value: unknown) => Output): Schema<Output> {
  const take = (value: unknown) => {
    try {
      return { value: validate(value) }
    } catch (error) {
      return { issues: [{ message: String(error) }] }
    }
  }
  return { '~standard': { version: 1, vendor: 'millrace', validate: take } }
}

const retry = { attempts: 2, baseMs: 20 }
const keyOf = (number: number) => `k${number % 4}`
const numbers = schemaOf((value) => value as number)
const noMultiplesOfSeven = schemaOf((value) => {
  if (Number(value) % 7 === 0) throw new TypeError('a multiple of 7')
  return value as number
})

const Fed = event('fed', { schema: noMultiplesOfSeven, key: keyOf })
const Refused = event('fed.refused', { schema: numbers, key: keyOf })
const Asked = event('asked', { schema: numbers, key: keyOf })
const fedEvents = 20

/** Feeds numbers, a few at a time; fails now and then, and begins again behind the position that was kept. */
const feed: SourceDefinition = {
  name: 'feed',
  events: [Fed, Refused],
  async open({ position, runtime }) {
    let next = ((position as number | undefined) ?? -1) + 1
    return {
      async next(signal): Promise<SourceBatch> {
        if (next === fedEvents) return await aborted(signal)
        await runtime.sleep(50, signal)
        if (runtime.random() < 0.1) throw new Error('the feed is away')
        const fed = Array.from({ length: Math.min(3, fedEvents - next) }, (_, index) => next + index)
        next += fed.length
        return { events: fed.map(fedEvent), position: next - 1 }
      },
      kept: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }
  },
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function fedEvent(data: number) {
  const attributes = { id: `fed-${data}` }
  return { type: Fed, data, attributes, refused: () => ({ type: Refused, data, attributes }) }
}

const fed: App = app({
  name: 'fed',
  sources: [feed],
  handlers: [on([Fed, Refused, Asked], { name: 'take', from: 'start', retry }, () => undefined)],
})

/** Events of a source that fails come with their position: each once, in order, whoever owns the source. */
export function simulateFed(seed: number, course: Partial<SimulateOptions> = {}): Promise<SimulationReport> {
  return simulate(fed, {
    seed,
    ...course,
    faults: faultKinds,
    publish: (random) => ({ type: Asked, data: random.below(100) }),
    check: checkFed,
  })
}

function checkFed({ history }: SimulationReport): void {
  const came = new Map<number, number[]>()
  for (const { event: found, partition } of history.log) {
    if (found.type !== Fed.type && found.type !== Refused.type) continue
    const number = found.data as number
    if ((number % 7 === 0) !== (found.type === Refused.type))
      throw new Error(`${number} is a '${found.type}'`)
    came.set(partition, [...(came.get(partition) ?? []), number])
  }
  const all = [...came.values()].flat()
  if (new Set(all).size !== all.length) throw new Error('the source was taken twice')
  for (const numbersOf of came.values())
    if (numbersOf.some((number, index) => number < (numbersOf[index - 1] ?? -1)))
      throw new Error('the source was taken out of order')
}

const Measured = event('measured', {
  schema: numbers,
  key: keyOf,
  version: 2,
  upcast: (data, version) => {
    if (Number(data) % 7 === 0) throw new TypeError(`nothing of version ${version} is a multiple of 7`)
    return Number(data) * 10
  },
})
const measured: App = app({
  name: 'measured',
  handlers: [on(Measured, { name: 'take', from: 'start', retry }, () => undefined)],
})

/** What an application of another version has written: of the one before, which may be unreadable, or of a later one. */
async function writeOtherVersion({ engine, app: { name } }: RunningApp, random: SeededRandom): Promise<void> {
  const data = random.below(100)
  const written: Event = {
    specversion: '1.0',
    id: `other-${random.below(2 ** 31)}`,
    source: 'other',
    type: Measured.type,
    time: new Date(0).toISOString(),
    partitionkey: keyOf(data),
    ...(random.chance(0.2) ? { dataversion: 3 } : {}),
    data,
  }
  const partition = partitionOf(keyOf(data), engine.partitions)
  await engine.append([{ topic: name, partition, value: encodeEvent(written), timeMs: 0 }])
}

/** Events of other versions are among those of this one: read, or in the dead letters where that is not possible. */
export function simulateVersions(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(measured, {
    seed,
    ...course,
    faults: faultKinds,
    publish: (random) => ({ type: Measured, data: random.below(100) }),
    operate: writeOtherVersion,
  })
}

const Pinged = event('pinged', { schema: numbers, key: keyOf })
const Ponged = event('ponged', { schema: numbers, key: keyOf })
const hopLimit = 18
const looping: App = app({
  name: 'looping',
  hopLimit,
  handlers: [
    on(Pinged, { name: 'ping', from: 'start', retry }, ({ data }, ctx) => ctx.emit(Ponged, data)),
    on(Ponged, { name: 'pong', from: 'start', retry }, ({ data }, ctx) => {
      if (data % 5 === 0) ctx.emit(Pinged, data)
    }),
  ],
})

/** Some events go round and round, up to the limit. */
export function simulateLoops(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(looping, {
    seed,
    ...course,
    faults: faultKinds,
    publish: (random) => ({ type: Pinged, data: random.below(100) }),
    check: ({ history }) => {
      const hops = history.log.map(({ event: { type, hops = 0 } }) => (type.endsWith('nged') ? hops : 0))
      if (Math.max(0, ...hops) > 1 + hopLimit) throw new Error('an event that went too far was handled')
    },
  })
}
