import type { OpenDeadLetter } from './dead-letter.ts'
import type { DeadLetterGroup } from './dead-letter-list.ts'
import { addGroup, byCount, foundOf, groupOf } from './found-dead-letters.ts'
import type { QueriedPartition } from './queried-partition.ts'
import type { Queries, RedrivenState, StateRow } from './queries.ts'
import { stateLayout } from './state-layout.ts'

/** The most rows of one answer. */
export const maxAnswerRows = 256
/** The most groups of one answer; the most frequent are given. */
const maxAnswerGroups = 1_000

/** A page of the open dead letters of a partition, by handler, topic and offset. */
export function answerDeadLetters(
  { handler, after, limit }: Queries['dead-letters']['query'],
  { state }: QueriedPartition,
): Promise<readonly StateRow[]> {
  const prefix = handler === undefined ? 'dead-letter/' : `dead-letter/${handler}/`
  const from = after === undefined || after < prefix ? prefix : `${after}\u0000`
  const to = `${prefix.slice(0, -1)}0`
  // A key behind the end of the range has nothing behind it.
  return from >= to ? Promise.resolve([]) : state.range(from, to, Math.min(limit, maxAnswerRows))
}

/** The open dead letters of a partition by what made them fail. */
export async function answerGroups(
  { handler }: Queries['dead-letter-groups']['query'],
  at: QueriedPartition,
): Promise<readonly DeadLetterGroup[]> {
  const groups = new Map<string, DeadLetterGroup>()
  for (let after: string | undefined; ; ) {
    const rows = await answerDeadLetters({ handler, after, limit: maxAnswerRows }, at)
    for (const row of rows) addGroup(groups, groupOf(foundOf({ group: '', ...at }, row).letter))
    after = rows.at(-1)?.key
    if (rows.length < maxAnswerRows) return byCount(groups).slice(0, maxAnswerGroups)
  }
}

/** One open dead letter. */
export async function answerDeadLetter(
  { handler, topic, offset }: Queries['dead-letter']['query'],
  { state }: QueriedPartition,
): Promise<StateRow | null> {
  const key = stateLayout.deadLetter(handler, topic, offset)
  const [text] = await state.getCommitted([key])
  return text === undefined ? null : { key, text }
}

/** What has become of dead letters that were handed back. */
export async function answerRedriven(
  { letters }: Queries['redriven']['query'],
  at: QueriedPartition,
): Promise<readonly RedrivenState[]> {
  const states: RedrivenState[] = []
  for (const letter of letters) states.push(await redrivenState(letter, at))
  return states
}

async function redrivenState(
  { eventId, ...letter }: Queries['redriven']['query']['letters'][number],
  { state, subscriptions }: QueriedPartition,
): Promise<RedrivenState> {
  const isPending = subscriptions.some((subscription) => {
    const { definition, trackers } = subscription
    return definition.name === letter.handler && trackers.has(letter.topic) && subscription.isPending(letter)
  })
  const key = stateLayout.deadLetter(letter.handler, letter.topic, letter.offset)
  const [text] = await state.getCommitted([key])
  if (text === undefined) return 'closed'
  if ((JSON.parse(text) as OpenDeadLetter).id !== eventId) return 'failed'
  // What it came to may be staged and not durable yet: then it is not told yet.
  return isPending || (await state.get(key)) !== text ? 'trying' : 'open'
}
