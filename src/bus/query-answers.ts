import { isMillraceError, messageOf } from '../core/errors.ts'
import { type Event, keyOf } from '../core/event.ts'
import { decodeEvent } from '../core/event-codec.ts'
import type { Logger } from '../core/runtime.ts'
import type { Offset } from '../log/port.ts'
import type { OpenDeadLetter } from './dead-letter.ts'
import {
  answerDeadLetter,
  answerDeadLetters,
  answerGroups,
  answerRedriven,
  maxAnswerRows,
} from './dead-letter-answers.ts'
import { commandOf } from './definitions.ts'
import type { QueriedPartition } from './queried-partition.ts'
import {
  type Queries,
  type Query,
  type QueryKind,
  type QueryReply,
  queriesHandler,
  type ResultAnswer,
} from './queries.ts'
import { type ReplyTools, replyEntries } from './replies.ts'
import type { StoredResult } from './results.ts'
import { stateLayout } from './state-layout.ts'
import type { GroupStatus } from './status.ts'
import type { InternalRecord } from './subscription-sink.ts'

/** After so many answers they are made durable before there are more: memory stays flat however many ask. */
const answersPerCommit = 16

type Answers = {
  readonly [Kind in QueryKind]: (
    query: Queries[Kind]['query'],
    at: QueriedPartition,
  ) => Promise<Queries[Kind]['answer']>
}

const answers: Answers = {
  async cells({ handler, key, cells }, { state }) {
    const texts = await state.getCommitted(cells.map((cell) => stateLayout.cell(handler, cell, key)))
    return texts.map((text) => text ?? null)
  },
  result: answerResult,
  'dead-letters': answerDeadLetters,
  'dead-letter-groups': answerGroups,
  'dead-letter': answerDeadLetter,
  handlers: answerHandlers,
  redriven: answerRedriven,
}

/** Answers a query from what the owner of a partition has committed. `NOT_OWNER` once it is lost. */
export function answerQuery<Kind extends QueryKind>(
  query: Query<Kind>,
  at: QueriedPartition,
): Promise<Queries[Kind]['answer']> {
  const answer = answers[query.kind as Kind]
  return answer(query as unknown as Queries[Kind]['query'], at)
}

/** Takes queries of other processes: the answer to each is appended in the step that makes it done. */
export async function takeQueries(
  records: readonly InternalRecord[],
  at: QueriedPartition,
  tools: ReplyTools & { readonly logger: Logger },
): Promise<void> {
  for (const [index, { event, stage }] of records.entries()) {
    const value = await replyTo(event, at, tools.logger)
    const reply = { handler: queriesHandler, outcome: 'handled' as const, value }
    stage({ appends: replyEntries(event, reply, tools) })
    if (index % answersPerCommit === answersPerCommit - 1) await at.state.flush()
  }
}

async function replyTo(event: Event, at: QueriedPartition, logger: Logger): Promise<QueryReply> {
  const query = event.data as Query
  // One of a newer version may be of a kind that is not known here.
  if (!Object.hasOwn(answers, query?.kind)) return { ok: false, message: 'The owner knows no such query.' }
  try {
    return { ok: true, answer: await answerQuery(query, at) }
  } catch (error) {
    if (isMillraceError(error, 'NOT_OWNER') || isMillraceError(error, 'LOG_CLOSED')) throw error
    logger.warn({ err: error, query }, 'a query could not be answered')
    return { ok: false, message: messageOf(error) }
  }
}

/** Parked keys are a sample, and a smaller one where there are many handlers. */
async function answerHandlers(_query: object, at: QueriedPartition): Promise<GroupStatus> {
  const status = await at.groupStatus()
  const most = Math.ceil(maxAnswerRows / Math.max(1, status.handlers.length))
  const handlers = status.handlers.map((handler) => {
    const { keys, records, sample } = handler.parked
    return { ...handler, parked: { keys, records, sample: sample.slice(0, most) } }
  })
  return { ...status, handlers }
}

/** A result that is there, else whether the command is still to be handled, else, as it was decided meanwhile, once more. */
async function answerResult(query: Queries['result']['query'], at: QueriedPartition): Promise<ResultAnswer> {
  const found = await committedResult(query, at)
  if (found !== undefined) return found
  if (await isPending(query, at)) return { status: 'pending' }
  await at.state.flush()
  return (await committedResult(query, at)) ?? { status: 'unknown' }
}

async function committedResult(
  { topic, offset }: Queries['result']['query'],
  { state, subscriptions, runtime }: QueriedPartition,
): Promise<ResultAnswer | undefined> {
  const handlers = subscriptions.filter(({ definition }) => commandOf(definition) !== undefined)
  const keys = [
    stateLayout.result(topic, offset),
    ...handlers.map(({ definition }) => stateLayout.deadLetter(definition.name, topic, offset)),
  ]
  const [text, ...letters] = await state.getCommitted(keys)
  // What is durable but not acknowledged yet is not told: whoever is told reads what was emitted with it.
  if (keys.some((key) => state.known(key) !== undefined)) await state.flush()
  if (text !== undefined) {
    const stored = JSON.parse(text) as StoredResult
    return stored.expiresMs > runtime.now() ? { status: 'stored', stored } : { status: 'unknown' }
  }
  for (const [index, letter] of letters.entries()) {
    const definition = handlers[index]?.definition
    if (letter === undefined || definition === undefined) continue
    const { error, type = '' } = JSON.parse(letter) as OpenDeadLetter
    return { status: 'dead-lettered', command: type, handler: definition.name, error }
  }
  return undefined
}

/** Whether the record of a place is a command that its handler has not done. */
async function isPending(
  { topic, offset }: Queries['result']['query'],
  at: QueriedPartition,
): Promise<boolean> {
  const readers = at.subscriptions.filter(({ definition, trackers }) => {
    return trackers.has(topic) && commandOf(definition) !== undefined
  })
  if (readers.length === 0) return false
  const event = await eventAt(topic, offset, at)
  const subscription = readers.find(({ types }) => event !== undefined && types.has(event.type))
  const tracker = subscription?.trackers.get(topic)
  if (event === undefined || tracker === undefined) return false
  const isHeld = subscription?.isPending({ topic, key: keyOf(event), offset }) === true
  return isHeld || !tracker.isDone(offset)
}

async function eventAt(
  topic: string,
  offset: Offset,
  { engine, partition }: QueriedPartition,
): Promise<Event | undefined> {
  try {
    const batch = await engine.read({ topic, partition }, offset, { records: 1, bytes: 1 })
    const [record] = batch.records
    return record?.offset === offset ? decodeEvent(record.value) : undefined
  } catch (error) {
    if (
      ['OFFSET_TRIMMED', 'RECORD_CORRUPT', 'EVENT_UNREADABLE'].some(
        (code) => isMillraceError(error) && error.code === code,
      )
    )
      return undefined
    throw error
  }
}
