import type { ClaimName, LogContents, LogImport, Move, PlaceEnds } from '../../log/moving.ts'
import type { EngineOptions, KeyValue, Place, StoredRecord } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { World } from './world.ts'

/** The place and the claim that the rules are about. */
export const at: Place = { topic: 'orders', partition: 1 }
/** A claim of that partition. */
export const of: ClaimName = { group: 'makers', partition: 1 }
/** The move that imports are part of. */
export const move: Move = { id: 'move-1', other: 'elsewhere:', finished: false }
/** Limits of a state that no test reaches. */
export const few = { values: 10, bytes: 1_000_000 }

/** A test on a log that is not there yet. */
export function importRule(
  suite: Suite,
  name: string,
  check: (world: World) => Promise<void>,
  options: EngineOptions = {},
): void {
  suite.engine.test.it(name, async () => {
    const world = await World.empty(suite.engine, options)
    try {
      await check(world)
      world.checkBackground()
    } finally {
      await world.end()
    }
  })
}

/** Opens the log to be moved away, and closes it however the use of it ends. */
export async function withExport<T>(world: World, use: (contents: LogContents) => Promise<T>): Promise<T> {
  const log = await world.moving.openExport()
  return use(log).finally(() => log.close())
}

/** Opens the log to be moved into, and closes it however the use of it ends. */
export async function withImport<T>(world: World, use: (log: LogImport) => Promise<T>): Promise<T> {
  const log = await world.moving.openImport()
  return use(log).finally(() => log.close())
}

/** Makes a log of 4 partitions with a topic `orders`, fills it, and opens it as an ordinary one. */
export async function imported(world: World, fill: (log: LogImport) => Promise<void>): Promise<void> {
  await withImport(world, async (log) => {
    await log.begin(move, 4)
    await log.createTopic({ name: 'orders', options: {} })
    await fill(log)
    await log.finish()
  })
  await world.open()
}

/** A record that the log is to have at an offset. */
export function recordAt(world: World, offset: number, timeMs = world.runtime.now()): StoredRecord {
  return { offset, timeMs, value: new Uint8Array(world.entry(at, offset).value) }
}

/** Brings in records at these offsets; the place begins at the first and ends behind the last unless told otherwise. */
export async function bring(
  world: World,
  log: LogImport,
  offsets: readonly number[],
  ends: Partial<PlaceEnds> = {},
): Promise<void> {
  const records = offsets.map((offset) => recordAt(world, offset))
  await log.addRecords(at, records)
  const start = offsets[0] ?? 0
  const end = (offsets.at(-1) ?? -1) + 1
  await log.endPlace(at, { start, end, lastTimeMs: world.runtime.now(), ...ends })
}

/** The state of a claim, portion by portion. */
export async function* portions(
  ...values: readonly (readonly KeyValue[])[]
): AsyncGenerator<readonly KeyValue[]> {
  yield* values
}
