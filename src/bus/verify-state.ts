import type { Place } from '../log/port.ts'
import type { BoundsOf, Finding, StateRow } from '../log/verification.ts'

/** What a check is given beside the JSON of the value. */
interface Context {
  /** The key's parts behind the prefix; the last one may hold slashes. */
  readonly parts: readonly string[]
  readonly boundsOf: (topic: string) => ReturnType<BoundsOf>
  /** Makes a finding of this key. */
  readonly damage: (kind: string, problem: string, fix: string) => Finding
  readonly leftover: (problem: string, fix: string) => Finding
}

type Check = (value: unknown, context: Context) => readonly Finding[]

/** Each prefix of the state's layout with the number of parts behind it, and what its values must say. */
const checks = new Map<string, { readonly parts: number; readonly check: Check }>([
  ['subscription', { parts: 2, check: checkCursor }],
  ['parked', { parts: 3, check: checkParked }],
  ['state', { parts: 3, check: () => [] }],
  ['once', { parts: 4, check: checkOnce }],
  ['dead-letter', { parts: 3, check: checkDeadLetter }],
  ['result', { parts: 2, check: checkResult }],
  ['timer', { parts: 2, check: checkTimer }],
  ['source', { parts: 1, check: checkSource }],
  ['schedule', { parts: 1, check: checkSchedule }],
])

const restore = 'Restore the log from a backup.'
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Verifies a value of a claim's state against what the processor lays out there (see `state-layout.ts`): that it is JSON of
 * the right form, and that the offsets in it are in the log. Keys of other layouts are left alone.
 */
export function verifyState(row: StateRow, boundsOf: BoundsOf): readonly Finding[] {
  const where = `${row.group}/${row.partition}: ${row.key}`
  const damage = (kind: string, problem: string, fix: string): Finding => {
    return { kind, severity: 'damage', where, problem, fix }
  }
  const leftover = (problem: string, fix: string): Finding => {
    return { kind: 'topic-gone', severity: 'leftover', where, problem, fix }
  }
  const [prefix = '', ...all] = row.key.split('/')
  const expected = checks.get(prefix)
  if (expected === undefined) return []
  if (all.length < expected.parts) return [damage('state-invalid', 'The key is cut short.', restore)]
  const parts = [...all.slice(0, expected.parts - 1), all.slice(expected.parts - 1).join('/')]
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(row.value))
  } catch {
    return [damage('state-invalid', 'The value is not JSON.', restore)]
  }
  const { partition } = row
  return expected.check(value, {
    parts,
    damage,
    leftover,
    boundsOf: (topic) => boundsOf({ topic, partition } satisfies Place),
  })
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function isDue(value: unknown): boolean {
  return value === null || Number.isFinite(value)
}

function topicGone({ leftover }: Context, topic: string): Finding {
  return leftover(
    `The log has no topic '${topic}'.`,
    'Nothing: it is removed when the application starts without this handler, or reads the topic no more.',
  )
}

function checkSource(value: unknown, { damage }: Context): readonly Finding[] {
  if ('position' in fieldsOf(value)) return []
  return [damage('source-invalid', 'It does not say how far the source was taken in.', restore)]
}

const cursorFix =
  'Restore the log from a backup; or give the handler a new name, and say by from where it begins, with new state.'

function checkCursor(value: unknown, context: Context): readonly Finding[] {
  const { damage, parts } = context
  const topic = parts[1] ?? ''
  const { cursor, done, silentUntil, gone } = fieldsOf(value)
  const invalid = (problem: string) => [damage('cursor-invalid', problem, cursorFix)]
  if (!isOffset(cursor) || !Array.isArray(done))
    return invalid('It has no cursor, or no ranges that are done.')
  if (silentUntil !== undefined && !isOffset(silentUntil))
    return invalid('What it is silent until is no offset.')
  const bounds = context.boundsOf(topic)
  if (bounds === undefined) return [topicGone(context, topic)]
  const { start, end } = bounds
  if (cursor > end) {
    return invalid(
      `The cursor is at ${cursor}, and the topic ends at ${end}: records up to it would be skipped.`,
    )
  }
  // Retention does not wait for a handler that is gone.
  if (cursor < start && gone !== true) {
    return invalid(
      `The cursor is at ${cursor}, and the topic starts at ${start}: records between are lost to it.`,
    )
  }
  let last = cursor
  for (const range of done as readonly unknown[]) {
    const [from, to] = Array.isArray(range) ? (range as readonly unknown[]) : []
    if (!isOffset(from) || !isOffset(to) || from >= to || to <= last || to > end) {
      return invalid(
        `The range ${JSON.stringify(range)} that is done is out of order, or behind the end ${end}.`,
      )
    }
    last = to
  }
  return []
}

const parkedFix =
  'Restore the log from a backup. Without one, the key stays held, or is tried from a record that is not its own.'

function checkParked(value: unknown, context: Context): readonly Finding[] {
  const topic = context.parts[1] ?? ''
  const { first, last, count, attempt, dueMs, failures, redrive = [] } = fieldsOf(value)
  const invalid = (problem: string) => [context.damage('parked-invalid', problem, parkedFix)]
  const areNumbers = isOffset(first) && Number.isSafeInteger(last) && isOffset(count) && isOffset(attempt)
  if (!areNumbers || !isDue(dueMs) || !Array.isArray(failures) || !Array.isArray(redrive)) {
    return invalid('The entry lacks a part, or has one of another form.')
  }
  const bounds = context.boundsOf(topic)
  if (bounds === undefined) return [topicGone(context, topic)]
  const { start, end } = bounds
  const isInside = first >= start && (last as number) >= first && (last as number) < end
  if (count > 0 && !isInside) {
    return invalid(`It waits from ${first} to ${last}, and the topic has ${start} up to, not with, ${end}.`)
  }
  const outside = (redrive as readonly unknown[]).find((offset) => !isOffset(offset) || offset >= end)
  return outside === undefined ? [] : invalid(`It redrives ${String(outside)}, and the topic ends at ${end}.`)
}

function checkOnce(value: unknown, context: Context): readonly Finding[] {
  const [, topic = '', digits = ''] = context.parts
  const bounds = context.boundsOf(topic)
  if (bounds === undefined) return [topicGone(context, topic)]
  const isInLog = /^\d+$/.test(digits) && Number(digits) < bounds.end
  if (isInLog && typeof value === 'object' && value !== null) return []
  return [
    context.damage(
      'once-invalid',
      'It belongs to no record, or remembers nothing.',
      'Restore the log from a backup; without one the step may run again, under the same idempotency key.',
    ),
  ]
}

function checkDeadLetter(value: unknown, context: Context): readonly Finding[] {
  const [, topic = '', digits = ''] = context.parts
  const bounds = context.boundsOf(topic)
  if (bounds === undefined) return [topicGone(context, topic)]
  const { id, key } = fieldsOf(value)
  const isInLog = /^\d{16}$/.test(digits) && Number(digits) < bounds.end
  if (isInLog && typeof id === 'string' && typeof key === 'string') return []
  return [
    context.damage(
      'dead-letter-invalid',
      'It stands for no record, or does not name its dead letter.',
      'Restore the log from a backup; without one, discard it. What failed is still among the dead letters that were written.',
    ),
  ]
}

function checkResult(value: unknown, context: Context): readonly Finding[] {
  const [topic = '', digits = ''] = context.parts
  const bounds = context.boundsOf(topic)
  if (bounds === undefined) return [topicGone(context, topic)]
  const { command, outcome, expiresMs } = fieldsOf(value)
  const { ok, discarded } = fieldsOf(outcome)
  const isInLog = /^\d{16}$/.test(digits) && Number(digits) < bounds.end
  const isDecided = typeof ok === 'boolean' || typeof discarded === 'string'
  if (isInLog && typeof command === 'string' && Number.isFinite(expiresMs) && isDecided) return []
  return [
    context.damage(
      'result-invalid',
      'It belongs to no record, or does not say how its command was decided.',
      'Restore the log from a backup; without one, look at what the handler of the command emitted and set.',
    ),
  ]
}

const timerFix = 'Restore the log from a backup; without one, publish what was delayed again.'

function checkTimer(value: unknown, { parts, damage }: Context): readonly Finding[] {
  const { topic, event, expired } = fieldsOf(value)
  if (!/^\d{15}$/.test(parts[0] ?? '')) {
    return [damage('timer-invalid', 'Its due time is not 15 digits: it is not fired in time.', timerFix)]
  }
  if (typeof expired === 'string') return []
  if (typeof topic === 'string' && typeof event === 'string') return []
  return [damage('timer-invalid', 'It has no topic, or no event, and no key that expires.', timerFix)]
}

function checkSchedule(value: unknown, { damage }: Context): readonly Finding[] {
  const { pattern, dueMs } = fieldsOf(value)
  if (typeof pattern === 'string' && isDue(dueMs)) return []
  const fix = 'Change its pattern and start: a schedule that has changed is counted anew.'
  return [damage('schedule-invalid', 'It has no pattern, or no due time.', fix)]
}
