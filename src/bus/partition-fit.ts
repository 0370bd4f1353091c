import { MillraceError } from '../core/errors.ts'
import type { Claim } from '../log/port.ts'
import type { CursorDocument } from './cursor-tracker.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { GroupTools } from './group-tools.ts'
import { isInternalHandler } from './internal-topics.ts'
import { documentOf, endOf } from './partition-setup.ts'
import type { PartitionState } from './partition-state.ts'
import { holdsFormerKeys, isRekeyed } from './rekeying.ts'
import { namesBefore } from './rename.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'

/**
 * Whether the handlers of a group fit what a partition holds; only looks, so that a start that is refused leaves
 * everything where it was. `HANDLER_VANISHED` for work that no handler takes any more, `FROM_REQUIRED` for a new handler
 * that does not say where it begins, on a topic that has records.
 */
export async function checkFit(tools: GroupTools, claim: Claim, state: PartitionState): Promise<void> {
  const names = await namesBefore(tools.handlers, state)
  await checkVanished(tools, claim, state, names)
  for (const [definition, name] of names) {
    for (const topic of tools.topicsOf(definition)) {
      if (topic === tools.internal.rekeyed) continue
      const isHeld = isRekeyed(definition) && (await hasParked(state, name, topic))
      // What was parked by the keys of the topic could not be found again by those of the handler.
      if (isHeld) throw holdsFormerKeys(definition.name, topic, claim.partition)
      await checkFrom(tools, claim, definition, topic, await documentOf(state, name, topic))
    }
  }
}

async function checkVanished(
  tools: GroupTools,
  claim: Claim,
  state: PartitionState,
  names: ReadonlyMap<HandlerDefinition, string>,
): Promise<void> {
  const present = new Set(
    [...names].flatMap(([definition, name]) => {
      return tools.topicsOf(definition).map((topic) => stateLayout.subscription(name, topic))
    }),
  )
  for (const { key, text } of await state.range('subscription/', 'subscription0', 10_000)) {
    const [, handler = '', topic = ''] = key.split('/')
    if (isInternalHandler(handler) || present.has(key) || tools.forget.has(handler)) continue
    const { cursor, gone } = JSON.parse(text) as CursorDocument
    if (gone) continue
    const end = await endOf(tools, { topic, partition: claim.partition })
    if (cursor < end || (await hasParked(state, handler, topic)))
      throw vanished(handler, topic, claim.partition)
  }
}

async function checkFrom(
  tools: GroupTools,
  claim: Claim,
  { name, options }: HandlerDefinition,
  topic: string,
  known: CursorDocument | undefined,
): Promise<void> {
  if (known !== undefined || options.from !== undefined) return
  const { start, end } = await tools.engine.bounds({ topic, partition: claim.partition })
  if (end === start) return
  throw new MillraceError('FROM_REQUIRED', `Handler '${name}' is new, and topic '${topic}' has records.`, {
    where: `handler '${name}'`,
    fix: "Say where it begins: from: 'start', from: 'now' or from: new Date(…).",
  })
}

async function hasParked(state: PartitionState, handler: string, topic: string): Promise<boolean> {
  const prefix = stateLayout.parked(handler, topic, '')
  return (await state.range(prefix, endOfPrefix(prefix), 1)).length > 0
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
