import { MillraceError } from '../core/errors.ts'
import type { Claim, Offset, Place } from '../log/port.ts'
import { type CursorDocument, CursorTracker } from './cursor-tracker.ts'
import type { From, HandlerDefinition } from './definitions.ts'
import { removeLeft } from './forget.ts'
import type { GroupTools } from './group-tools.ts'
import { isInternalHandler } from './internal-topics.ts'
import { ParkedKeys } from './parked-keys.ts'
import type { PartitionState } from './partition-state.ts'
import { holdsFormerKeys, isRekeyed } from './rekeying.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'
import { Subscription } from './subscription.ts'
import type { SubscriptionTools } from './subscription-tools.ts'

/**
 * The subscriptions of a group's handlers in one partition: where they stood, or where a new one begins.
 * `FROM_REQUIRED` for a new one that does not say so on a topic that has records.
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
        await refuseFormerKeys(claim, state, definition.name, topic)
        sources.push(await trackerOf(tools, claim, state, definition, topic))
        continue
      } else trackers.set(topic, await trackerOf(tools, claim, state, definition, topic))
      await parked.load(state, topic)
    }
    subscriptions.push(new Subscription(definition, { trackers, sources }, parked, toolsOf(definition)))
  }
  return subscriptions
}

/** What was parked by the keys of a topic could not be found again by the keys of the handler: `HANDLER_VANISHED`. */
async function refuseFormerKeys(
  claim: Claim,
  state: PartitionState,
  handler: string,
  topic: string,
): Promise<void> {
  const prefix = stateLayout.parked(handler, topic, '')
  const [held] = await state.range(prefix, endOfPrefix(prefix), 1)
  if (held !== undefined) throw holdsFormerKeys(handler, topic, claim.partition)
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
  if (from === undefined && end > start) {
    throw new MillraceError(
      'FROM_REQUIRED',
      `Handler '${definition.name}' is new, and topic '${topic}' has records.`,
      {
        where: `handler '${definition.name}'`,
        fix: "Say where it begins: from: 'start', from: 'now' or from: new Date(…).",
      },
    )
  }
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
 * A handler that is gone, or does not take from a topic any more, must not leave work behind unnoticed: `HANDLER_VANISHED`.
 * Without any, or when it is to be forgotten, its keys are removed; its cells stay, because a handler of that name may
 * come back. Gives the topics that were read and are not any more.
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
    if (isInternalHandler(handler) || present.has(key)) continue
    const parkedPrefix = stateLayout.parked(handler, topic, '')
    const parked = await state.range(parkedPrefix, endOfPrefix(parkedPrefix), 10_000)
    const { cursor } = JSON.parse(text) as CursorDocument
    const end = await endOf(tools, { topic, partition: claim.partition })
    if (!read.has(topic)) unread.add(topic)
    if (tools.forget.has(handler)) continue
    if (cursor < end || parked.length > 0) throw vanished(handler, topic, claim.partition)
    // Should it come back, what was handed on to it is handed on to it anew, as its `from` says.
    const isRekeyed = topic === tools.internal.rekeyed
    state.stage({
      puts: isRekeyed ? [[stateLayout.forgotten(handler, topic), { before: end }]] : [],
      deletes: [key],
    })
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

async function endOf(tools: GroupTools, place: Place): Promise<Offset> {
  const topics = await tools.engine.listTopics()
  return topics.some(({ name }) => name === place.topic) ? (await tools.engine.bounds(place)).end : 0
}

function vanished(handler: string, topic: string, partition: number): MillraceError {
  return new MillraceError(
    'HANDLER_VANISHED',
    `Handler '${handler}' does not take from topic '${topic}' any more, and has work pending there.`,
    {
      where: `handler '${handler}', partition ${partition}`,
      fix: 'Put the handler back until it has caught up, or give up its work with `millrace forget`.',
      facts: { handler, topic, partition },
    },
  )
}
