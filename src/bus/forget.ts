import type { Offset } from '../log/port.ts'
import type { CursorDocument } from './cursor-tracker.ts'
import type { PartitionState } from './partition-state.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'

/** What a handler has left behind, in one partition or in several. */
export interface LeftBehind {
  /** Records of its topics that it has not done; some may be of types that it does not take. */
  readonly records: number
  readonly parkedKeys: number
  readonly deadLetters: number
  /** Values of its state. */
  readonly stateValues: number
  /** Results that `once` remembers. */
  readonly remembered: number
}

/** Whose work is to go. */
export interface Forgotten {
  readonly handler: string
  /** The topics that the handler of that name still takes from in this group, whose work stays; absent where it is gone. */
  readonly stillReads: readonly string[] | undefined
  /** The group's topic of records by the keys of their handlers. */
  readonly rekeyed: string
  /** Where a topic ends in this partition. */
  endOf(topic: string): Promise<Offset>
}

/** How many keys are looked at, or removed in one commit. */
const keysPerStep = 1_000

/** Counts what a handler has left behind in a partition; undefined where there is nothing. */
export async function countLeft(
  state: PartitionState,
  forgotten: Forgotten,
): Promise<LeftBehind | undefined> {
  const topics = await topicsLeft(state, forgotten)
  const counts = { parked: 0, 'dead-letter': 0, state: 0, once: 0 }
  for (const { family, prefix } of prefixesOf(forgotten, [...topics.keys()])) {
    for await (const keys of pagesOf(state, prefix)) counts[family] += keys.length
  }
  if (topics.size === 0 && Object.values(counts).every((count) => count === 0)) return undefined
  let records = 0
  for (const [topic, { cursor, done }] of topics) {
    const doneAbove = done.reduce((sum, [from, to]) => sum + to - from, 0)
    records += Math.max(0, (await forgotten.endOf(topic)) - cursor - doneAbove)
  }
  return {
    records,
    parkedKeys: counts.parked,
    deadLetters: counts['dead-letter'],
    stateValues: counts.state,
    remembered: counts.once,
  }
}

/**
 * Removes everything that a handler has left behind in a partition; gives whether there was anything. Where it stands comes
 * last, so that what a crash has cut short is found again.
 */
export async function removeLeft(state: PartitionState, forgotten: Forgotten): Promise<boolean> {
  const { handler, stillReads, rekeyed, endOf } = forgotten
  const topics = [...(await topicsLeft(state, forgotten)).keys()]
  let found = topics.length > 0
  for (const { prefix } of prefixesOf(forgotten, topics)) {
    for await (const keys of pagesOf(state, prefix)) {
      found = true
      state.stage({ deletes: keys })
      await state.flush()
    }
  }
  const places = topics.map((topic) => stateLayout.subscription(handler, topic))
  const schedule = stillReads === undefined ? [stateLayout.schedule(handler)] : []
  // What stays in the topic of all handlers must not be met by a later one of that name.
  const passed = topics.includes(rekeyed) ? [stateLayout.forgotten(handler, rekeyed)] : []
  const before = passed.length === 0 ? 0 : await endOf(rekeyed)
  if (found) state.stage({ puts: passed.map((key) => [key, { before }]), deletes: [...places, ...schedule] })
  return found
}

/** Where the handler stands in the topics that it does not take from any more. */
async function topicsLeft(
  state: PartitionState,
  { handler, stillReads = [] }: Forgotten,
): Promise<ReadonlyMap<string, CursorDocument>> {
  const prefix = `subscription/${handler}/`
  const found = await state.range(prefix, endOfPrefix(prefix), 10_000)
  const places = found.map(({ key, text }) => [key.slice(prefix.length), JSON.parse(text)] as const)
  return new Map(places.filter(([topic]) => !stillReads.includes(topic)))
}

type Family = 'parked' | 'dead-letter' | 'state' | 'once'

/** The state of a handler is of all its topics, so it goes only with the handler. */
function prefixesOf(
  { handler, stillReads }: Forgotten,
  topics: readonly string[],
): readonly { readonly family: Family; readonly prefix: string }[] {
  if (stillReads === undefined) {
    const families = ['state', 'once', 'dead-letter', 'parked'] as const
    return families.map((family) => ({ family, prefix: `${family}/${handler}/` }))
  }
  const families = ['once', 'dead-letter', 'parked'] as const
  return topics.flatMap((topic) =>
    families.map((family) => ({ family, prefix: `${family}/${handler}/${topic}/` })),
  )
}

async function* pagesOf(state: PartitionState, prefix: string): AsyncGenerator<readonly string[]> {
  for (let from = prefix; ; ) {
    const keys = (await state.range(from, endOfPrefix(prefix), keysPerStep)).map(({ key }) => key)
    const last = keys.at(-1)
    if (last === undefined) return
    yield keys
    from = `${last}\u0000`
  }
}
