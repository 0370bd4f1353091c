import { MillraceError } from '../../core/errors.ts'
import { defaultMaxEventBytes, type Event } from '../../core/event.ts'
import { encodeEvent } from '../../core/event-codec.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Entry, LogEngine, Offset, Place } from '../../log/port.ts'
import type { RuleChange } from './rule-book.ts'
import {
  findMark,
  type RecordedChange,
  type RuleHistory,
  type RuleMarks,
  ruleChangedType,
  ruleMarksType,
} from './rule-history.ts'
import { markId, ruleMarkType } from './rule-marks.ts'

/** What changes to the rules are made with. */
export interface RuleChangeTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  readonly history: RuleHistory
  readonly signal: AbortSignal
  /** The topics that rules hold for. */
  topics(): readonly string[]
}

/**
 * Makes a change: one append of the change itself and of a mark in every place, so that it takes effect everywhere or nowhere.
 * The topic of rules has marks too, which wake owners that read nothing else. Resolves once the change is durable, with its
 * id. `RULE_INVALID` for one that is too large for one event.
 */
export async function appendRuleChange(change: RuleChange, tools: RuleChangeTools): Promise<string> {
  const { engine, runtime, history } = tools
  const topics = tools.topics()
  const id = runtime.id()
  const timeMs = runtime.now()
  const recorded = entryOf(history.place, ruleChangedType, { id, timeMs, data: { ...change, topics } }, tools)
  checkSize(recorded)
  const marked = [history.place.topic, ...topics].flatMap((topic) => placesOf(topic, engine))
  const appended = await engine.append([recorded, ...marked.map((at) => markEntry(at, id, timeMs, tools))])
  const marks: Record<string, Offset[]> = Object.fromEntries(topics.map((topic) => [topic, []]))
  for (const { topic, offset } of appended.slice(1)) marks[topic]?.push(offset)
  // The change is made, whatever comes of this: where its marks are is found again where it is not told.
  await tellMarks(id, marks, tools).catch(() => {})
  return id
}

/**
 * Tells where the marks of changes are whose process ended before it could, and puts marks of the last change into topics that
 * have none: the application did not have them when the change was made. Rules hold there from now on.
 */
export async function settleMarks(tools: RuleChangeTools): Promise<void> {
  const { engine, history } = tools
  await history.refresh()
  const there = new Set((await engine.listTopics()).map(({ name }) => name))
  for (const change of history.changes) {
    if (change.marks !== undefined) continue
    const topics = change.topics.filter((topic) => there.has(topic))
    await tellMarks(change.id, await foundMarks(change, topics, tools), tools)
  }
  await history.refresh()
  const last = history.changes.at(-1)
  const unmarked = tools.topics().filter((topic) => last !== undefined && last.marks?.[topic] === undefined)
  if (last === undefined || unmarked.length === 0) return
  const marks: Record<string, readonly Offset[]> = {}
  for (const topic of unmarked) marks[topic] = await joinedMarks(topic, last, tools)
  await tellMarks(last.id, marks, tools)
  await history.refresh()
}

/** The marks of a change in topics that it has marked. One that is gone was trimmed: the change holds from the start. */
async function foundMarks(
  change: RecordedChange,
  topics: readonly string[],
  { engine, signal }: RuleChangeTools,
): Promise<RuleMarks> {
  const found = topics.map(async (topic) => {
    const offsets = placesOf(topic, engine).map(async (at) => {
      return (await findMark(at, change, engine, signal)) ?? -1
    })
    return [topic, await Promise.all(offsets)] as const
  })
  return Object.fromEntries(await Promise.all(found))
}

/** The marks of a change in a topic that it did not mark: another process may be putting them there at this moment. */
async function joinedMarks(
  topic: string,
  change: RecordedChange,
  tools: RuleChangeTools,
): Promise<readonly Offset[]> {
  const { engine, runtime, signal } = tools
  const offsets: Offset[] = []
  for (const at of placesOf(topic, engine)) {
    const known = await findMark(at, change, engine, signal)
    if (known !== undefined) offsets.push(known)
    else {
      // Never before the change, whose time is where its mark is looked for.
      const timeMs = Math.max(runtime.now(), change.timeMs)
      const entry = markEntry(at, change.id, timeMs, tools)
      const deduplicationId = markId(change.id, at.partition)
      const [mark] = await engine.append([{ ...entry, deduplicationId }], signal)
      offsets.push(mark?.offset ?? -1)
    }
  }
  return offsets
}

async function tellMarks(change: string, marks: RuleMarks, tools: RuleChangeTools): Promise<void> {
  const { engine, runtime, history } = tools
  const told = { id: runtime.id(), timeMs: runtime.now(), data: { change, marks } }
  await engine.append([entryOf(history.place, ruleMarksType, told, tools)])
}

function markEntry(at: Place, id: string, timeMs: number, tools: RuleChangeTools): Entry {
  return entryOf(at, ruleMarkType, { id, timeMs, data: { change: id } }, tools)
}

function entryOf(
  at: Place,
  type: string,
  { id, timeMs, data }: { readonly id: string; readonly timeMs: number; readonly data: unknown },
  { source }: RuleChangeTools,
): Entry {
  const time = new Date(timeMs).toISOString()
  const event: Event = { specversion: '1.0', id, source, type, time, data }
  return { ...at, value: encodeEvent(event), timeMs }
}

function placesOf(topic: string, { partitions }: LogEngine): readonly Place[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
}

function checkSize({ value }: Entry): void {
  if (value.length <= defaultMaxEventBytes) return
  throw new MillraceError(
    'RULE_INVALID',
    `A change has at most ${defaultMaxEventBytes} bytes; this one has ${value.length}.`,
    { where: 'rules', fix: 'Put the rules in several changes, some hundreds in each.' },
  )
}
