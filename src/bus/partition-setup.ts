import type { Claim, Offset, Place } from '../log/port.ts'
import { type CursorDocument, CursorTracker } from './cursor-tracker.ts'
import type { From, HandlerDefinition } from './definitions.ts'
import { removeLeft } from './forget.ts'
import type { GroupTools } from './group-tools.ts'
import { isInternalHandler, isStreamHandler } from './internal-topics.ts'
import { ParkedKeys } from './parked-keys.ts'
import type { PartitionState } from './partition-state.ts'
import { isRekeyed } from './rekeying.ts'
import { stateLayout } from './state-layout.ts'
import { Subscription } from './subscription.ts'
import type { SubscriptionTools } from './subscription-tools.ts'

/**
 * The subscriptions of a group's handlers in one partition, which they fit: where they stood, or where a new one begins.
 */
export async function loadSubscriptions(
  tools: GroupTools,
  claim: Claim,
  state: PartitionState,
  toolsOf: (definition: HandlerDefinition) => SubscriptionTools,
): Promise<readonly Subscription[]> {
  const subscriptions: Subscription[] = []
  for (const definition of tools.handlers) {
    const trackers = new Map<string, CursorTracker>()
    const sources: CursorTracker[] = []
    const parked = new ParkedKeys(definition.name)
    for (const topic of tools.topicsOf(definition)) {
      if (topic === tools.internal.rekeyed) {
        const { name, options } = definition
        trackers.set(topic, await newTracker(tools, claim, state, name, topic, options.renamedFrom))
      } else if (isRekeyed(definition)) {
        sources.push(await trackerOf(tools, claim, state, definition, topic))
        continue
      } else trackers.set(topic, await trackerOf(tools, claim, state, definition, topic))
      await parked.load(state, topic)
    }
    subscriptions.push(new Subscription(definition, { trackers, sources }, parked, toolsOf(definition)))
  }
  return subscriptions
}

/** The tracker in an internal topic, which begins at its start, or behind what a handler that was forgotten has left. */
export async function newTracker(
  tools: GroupTools,
  claim: Claim,
  state: PartitionState,
  handler: string,
  topic: string,
  formerName: string = handler,
): Promise<CursorTracker> {
  const known = await documentOf(state, handler, topic)
  if (known !== undefined) return new CursorTracker(topic, known)
  let { start: cursor } = await tools.engine.bounds({ topic, partition: claim.partition })
  for (const name of new Set([handler, formerName])) {
    const text = await state.get(stateLayout.forgotten(name, topic))
    if (text !== undefined) cursor = Math.max(cursor, (JSON.parse(text) as { before: Offset }).before)
  }
  return new CursorTracker(topic, { cursor, done: [] })
}

async function trackerOf(
  tools: GroupTools,
  claim: Claim,
  state: PartitionState,
  definition: HandlerDefinition,
  topic: string,
): Promise<CursorTracker> {
  const known = await documentOf(state, definition.name, topic)
  if (known !== undefined) return new CursorTracker(topic, known)
  const place: Place = { topic, partition: claim.partition }
  const { start, end } = await tools.engine.bounds(place)
  const { from, catchUp } = definition.options
  const cursor = await beginning(tools, place, from ?? 'start', { start, end })
  const silent = catchUp === 'silent' ? { silentUntil: end } : {}
  return new CursorTracker(topic, { cursor, done: [], ...silent })
}

/** Where a subscription stands in a topic; undefined for one that is new there. */
export async function documentOf(
  state: PartitionState,
  handler: string,
  topic: string,
): Promise<CursorDocument | undefined> {
  const text = await state.get(stateLayout.subscription(handler, topic))
  return text === undefined ? undefined : (JSON.parse(text) as CursorDocument)
}

function beginning(
  tools: GroupTools,
  place: Place,
  from: From,
  bounds: { readonly start: Offset; readonly end: Offset },
): Offset | Promise<Offset> {
  if (from === 'start') return bounds.start
  if (from === 'now') return bounds.end
  return tools.engine.offsetAt(place, from.getTime())
}

/**
 * Notes that a handler is gone, or does not take from a topic any more, which has left no work behind: its place and its cells stay,
 * because it may come back, if only from another process that still has it, and must not begin anew then. Removes what is to
 * be forgotten. Gives the topics that were read and are not any more.
 */
export async function dropVanished(
  tools: GroupTools,
  claim: Claim,
  state: PartitionState,
): Promise<readonly string[]> {
  const present = new Set(
    tools.handlers.flatMap((definition) => {
      return tools.topicsOf(definition).map((topic) => stateLayout.subscription(definition.name, topic))
    }),
  )
  const read = new Set(tools.handlers.flatMap((definition) => tools.topicsOf(definition)))
  const unread = new Set<string>()
  for (const { key, text } of await state.range('subscription/', 'subscription0', 10_000)) {
    const [, handler = '', topic = ''] = key.split('/')
    const isReader = isInternalHandler(handler) && !isStreamHandler(handler)
    if (isReader || present.has(key)) continue
    if (!read.has(topic)) unread.add(topic)
    const document = JSON.parse(text) as CursorDocument
    if (tools.forget.has(handler) || document.gone) continue
    state.stage({ puts: [[key, { ...document, gone: true }]] })
  }
  for (const handler of tools.forget) {
    const definition = tools.handlers.find(({ name }) => name === handler)
    const found = await removeLeft(state, {
      handler,
      stillReads: definition === undefined ? undefined : tools.topicsOf(definition),
      rekeyed: tools.internal.rekeyed,
      endOf: (topic) => endOf(tools, { topic, partition: claim.partition }),
    })
    if (found) tools.forgotten.add(handler)
  }
  return [...unread]
}

/** Where a topic ends in a partition: at 0 for one that there is not. */
export async function endOf(tools: GroupTools, place: Place): Promise<Offset> {
  const topics = await tools.engine.listTopics()
  return topics.some(({ name }) => name === place.topic) ? (await tools.engine.bounds(place)).end : 0
}
