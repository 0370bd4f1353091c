import { type App, app } from '../../../src/app/app.ts'
import { start } from '../../../src/app/start.ts'
import { type DeadLetter, deadLetterType } from '../../../src/bus/dead-letter.ts'
import { on } from '../../../src/bus/definitions.ts'
import { MillraceError } from '../../../src/core/errors.ts'
import { event } from '../../../src/core/event.ts'
import { decodeEvent } from '../../../src/core/event-codec.ts'
import type { Schema } from '../../../src/core/schema.ts'
import type { LogEngine, Place, StoredRecord } from '../../../src/log/port.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import { witnessesOf } from '../../../src/testing/history.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import type { StartFunction } from '../../../src/testing/simulated-process.ts'
import { operateDeadLetters } from './operated.ts'

const numbers: Schema<number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as number }) },
}
const Worn = event('worn', { schema: numbers, key: (number) => `k${number % 3}` })
// What is damaged is given up without its event, so the rules that know records by their events leave these handlers alone.
const options = { from: new Date(0), retry: { attempts: 2, baseMs: 20 }, timeoutMs: 3_000 } as const
const worn: App = app({
  name: 'worn',
  handlers: [
    on(Worn, { ...options, name: 'take' }, () => undefined),
    on(Worn, { ...options, name: 'shelve', key: (number) => `shelf-${number % 2}` }, () => undefined),
    on(Worn, { ...options, name: 'hold', whenExhausted: 'park' }, ({ data }) => {
      if (data % 5 === 0) throw new Error('not this one')
    }),
  ],
})

function isDamaged({ value }: StoredRecord): boolean {
  const { type, data } = decodeEvent(value)
  return type === Worn.type && (data as number) % 4 === 0
}

/** Starts applications on a log of which some records are damaged: whoever reads them from there is told so. */
const startDamaged: StartFunction = (given, how) => {
  const engine = how.log as LogEngine
  const read: LogEngine['read'] = async (at, from, ...rest) => {
    const { records, next } = await engine.read(at, from, ...rest)
    const index = records.findIndex(isDamaged)
    const damaged = records[index]
    if (damaged === undefined) return { records, next }
    if (index > 0) return { records: records.slice(0, index), next: damaged.offset }
    const { offset } = damaged
    throw new MillraceError('RECORD_CORRUPT', 'The record is damaged.', { facts: { ...at, offset } })
  }
  const log = new Proxy(engine, {
    get: (target, name) => {
      const member: unknown = name === 'read' ? read : Reflect.get(target, name, target)
      return typeof member === 'function' && name !== 'read' ? member.bind(target) : member
    },
  })
  return start(given, { ...how, log })
}

/** Every event is handled by each handler, or given up, whole or damaged; and nothing else is given up as damaged. */
function check({ history }: SimulationReport): void {
  const done = new Set(witnessesOf(history, 'done').map(({ handler, id }) => `${handler} ${id}`))
  const gaveUp = new Map<string, DeadLetter>()
  for (const { event: letter } of history.log) {
    const data = letter.data as DeadLetter
    if (letter.type === deadLetterType) gaveUp.set(placeFor(data.handler, data), data)
  }
  const records = history.log.filter(({ event: { type } }) => type === Worn.type)
  for (const { event: found, topic } of records) {
    if (topic !== worn.name) continue
    for (const { name } of worn.handlers) {
      // What is handed on by another key stands for the record, and may be damaged in its turn.
      const places = records.filter(
        ({ event: { id, millraceto = name } }) => id === found.id && millraceto === name,
      )
      const letters = places.flatMap((place) => gaveUp.get(placeFor(name, place)) ?? [])
      const isHeld = history.parked.some(({ handler, first, last }) => {
        return handler === name && places.some(({ offset }) => first <= offset && offset <= last)
      })
      if (!done.has(`${name} ${found.id}`) && letters.length === 0 && !isHeld)
        throw new Error(`'${found.id}' was never done by '${name}'`)
      if (letters.some(({ event: given }) => given === null) && (found.data as number) % 4 !== 0)
        throw new Error(`'${found.id}' is whole, and was given up as damaged`)
    }
  }
}

function placeFor(
  handler: string,
  { topic, partition, offset }: Place & { readonly offset: number },
): string {
  return `${handler} ${topic}/${partition} ${offset}`
}

/** Some records are damaged where they are read from the log, whatever else fails. */
export function simulateDamaged(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(worn, {
    seed,
    ...course,
    faults: faultKinds,
    start: startDamaged,
    publish: (random) => ({ type: Worn, data: random.below(100) }),
    operate: operateDeadLetters,
    check,
  })
}
