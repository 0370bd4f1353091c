import { app, event, type OpenSource, on, type SourceDefinition, start } from 'millrace'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { MemoryLog, openMemory } from '../../src/engines/memory/index.ts'

const Read = event('meter.read', {
  schema: z.object({ meter: z.string(), kwh: z.number() }),
  key: (data) => data.meter,
})
const Refused = event('meter.refused', { schema: z.object({ code: z.string() }) })

/** A source of the given readings, in batches of two; its position is how many were taken. Fails where a reading is an error. */
function meterOf(readings: (number | Error)[]) {
  const seen = { open: 0, mostOpen: 0, opened: [] as unknown[], kept: [] as unknown[] }
  let grown = Promise.withResolvers<void>()
  const grow = (...more: readonly number[]) => {
    readings.push(...more)
    grown.resolve()
    grown = Promise.withResolvers()
  }
  const source: SourceDefinition = {
    name: 'meter',
    events: [Read, Refused],
    async open({ position }): Promise<OpenSource> {
      seen.opened.push(position)
      seen.open += 1
      seen.mostOpen = Math.max(seen.mostOpen, seen.open)
      let next = Number(position ?? 0)
      return {
        async next(signal) {
          const failing = readings.slice(next, next + 2).find((each) => each instanceof Error)
          if (failing !== undefined) throw failing
          while (next === readings.length) {
            const aborted = Promise.withResolvers<never>()
            signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
            await Promise.race([grown.promise, aborted.promise])
          }
          const events = readings.slice(next, next + 2).map((kwh, index) => ({
            type: Read,
            data: { meter: 'm', kwh },
            attributes: { id: String(next + index), source: 'meter' },
            refused: ({ code }: { code: string }) => ({ type: Refused, data: { code }, attributes: {} }),
          }))
          next = Math.min(readings.length, next + 2)
          return { events, position: next }
        },
        kept: async (kept) => void seen.kept.push(kept),
        async close() {
          seen.open -= 1
        },
      }
    },
  }
  return { source, seen, grow }
}

const sum = on(
  Read,
  { name: 'sum', from: 'start', state: { kwh: z.number().default(0) } },
  async ({ data }, { state }) => state.kwh.set((await state.kwh.get()) + data.kwh),
)

test('what a source gives reaches handlers once, however often the application is stopped in between', async () => {
  const log = new MemoryLog()
  const readings: number[] = [1, 2, 3]
  const { source, seen } = meterOf(readings)
  const meters = app({ name: 'meters', sources: [source], handlers: [sum] })
  for (const [round, expected] of [6, 15, 28].entries()) {
    const engine = await openMemory({ log, runtime: realRuntime() })
    const running = await start(meters, { log: engine })
    await expect.poll(async () => (await running.read(sum, 'm')).kwh).toBe(expected)
    await running.stop()
    await engine.close()
    readings.push(...(round === 0 ? [4, 5] : [6, 7]))
  }
  expect(seen.opened).toEqual([undefined, 3, 5])
  expect(seen.kept).toEqual([2, 3, 5, 7])
})

test('a source is open in one process at a time, and another one takes it over', async () => {
  const log = new MemoryLog()
  const { source, seen, grow } = meterOf([1, 2])
  const meters = app({ name: 'meters', sources: [source], handlers: [sum] })
  const engines = [1, 2, 3].map(() => openMemory({ log, runtime: realRuntime() }))
  const running = await Promise.all(engines.map(async (engine) => start(meters, { log: await engine })))
  const [last, ...others] = running.reverse()
  await expect.poll(async () => (await last?.read(sum, 'm'))?.kwh).toBe(3)
  grow(3)
  for (const other of others) await other.stop()
  await expect.poll(async () => (await last?.read(sum, 'm'))?.kwh).toBe(6)
  expect(seen.mostOpen).toBe(1)
  await last?.stop()
  expect(seen.open).toBe(0)
})

test('a source that fails is opened again where it was, and holds up no handler', async () => {
  const readings: (number | Error)[] = [1, 2, new Error('the meter is away')]
  const { source, seen } = meterOf(readings)
  const warnings: string[] = []
  const warn = (_fields: object, message: string) => void warnings.push(message)
  const logger = { debug() {}, info() {}, warn, error() {} }
  const meters = app({ name: 'meters', sources: [source], handlers: [sum] })
  const running = await start(meters, { log: 'memory:', logger })
  await expect.poll(() => warnings.length).toBeGreaterThan(1)
  expect(warnings[0]).toContain('the meter is away')
  await running.publish(Read, { meter: 'm', kwh: 10 }, { wait: 'handled' })
  readings[2] = 3
  await expect.poll(async () => (await running.read(sum, 'm')).kwh).toBe(16)
  expect(seen.opened.slice(1)).toEqual(seen.opened.slice(1).map(() => 2))
  await running.stop()
})

test('what the door refuses is kept as what the source says instead, and what follows goes on', async () => {
  const { source } = meterOf([Number.NaN, 2])
  const refusals: unknown[] = []
  const refuse = on(Refused, { name: 'refuse', from: 'start' }, ({ data }) => void refusals.push(data))
  const running = await start(app({ name: 'meters', sources: [source], handlers: [sum, refuse] }), {
    log: 'memory:',
  })
  await expect.poll(async () => (await running.read(sum, 'm')).kwh).toBe(2)
  await running.settled()
  expect(refusals).toEqual([{ code: 'DATA_INVALID' }])
  await running.stop()
})

test('sources of one name, and what is no source, are TypeErrors', () => {
  const { source } = meterOf([])
  expect(() => app({ name: 'meters', sources: [source, source] })).toThrow(TypeError)
  expect(() => app({ name: 'meters', sources: [{} as SourceDefinition] })).toThrow(TypeError)
})
