import { isMillraceError, messageOf } from '../core/errors.ts'
import type { Offset } from '../log/port.ts'
import { stackUpToHandler } from './handler-stack.ts'

/** One failed attempt, as it is kept and shown. */
export interface Failure {
  readonly attempt: number
  /** When it failed, in milliseconds since 1970 UTC. */
  readonly atMs: number
  readonly error: ErrorRecord
}

/** An error as it is stored. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** Up to where the handler was called, with those of what caused it, each behind `Caused by: `. */
  readonly stack?: string
}

/**
 * A key that is held back, in one entry however many records wait behind it. Immutable: every change is a new entry, so
 * that what goes into a commit is exactly what was meant when it was staged.
 */
export interface ParkedEntry {
  /** Where the next record of the key is looked for. */
  readonly first: Offset
  /** The last record that waits; below `first` when none does. */
  readonly last: Offset
  /** How many records wait from `first` to `last`. */
  readonly count: number
  /** Failed attempts of the record at the front. */
  readonly attempt: number
  /** When it is tried, in milliseconds since 1970 UTC; null while it waits to be redriven or discarded. */
  readonly dueMs: number | null
  /** The failures of the record at the front, at most {@link maxFailures} of them, oldest first. */
  readonly failures: readonly Failure[]
  /** Offsets handed back from the dead letters, ascending: tried before anything else. */
  readonly redrive?: readonly Offset[]
  /** Set while something was handed back though the record at `first` is held: it is held again afterwards. */
  readonly held?: true
}

/** How many failures an entry and a dead letter keep at most. */
export const maxFailures = 16

const maxStackLength = 4_000
const maxCauses = 8

/** An error in the form that is stored. */
export function errorRecord(error: unknown): ErrorRecord {
  const message = messageOf(error).slice(0, maxStackLength)
  if (!(error instanceof Error)) return { name: typeof error, message }
  const stack = stackUpToHandler(error) === undefined ? undefined : stackOf(error)
  const { name } = error
  const code = isMillraceError(error) ? error.code : undefined
  if (code === undefined) return stack === undefined ? { name, message } : { name, message, stack }
  return { name, message, code, ...(stack === undefined ? {} : { stack }) }
}

/** The stack of an error and of what caused it: one that was wrapped was thrown elsewhere. */
function stackOf(error: Error): string {
  const stacks: string[] = []
  const seen = new Set<unknown>()
  let next: unknown = error
  while (next instanceof Error && !seen.has(next) && seen.size < maxCauses) {
    seen.add(next)
    stacks.push((stackUpToHandler(next) ?? messageOf(next)).slice(0, maxStackLength))
    next = next.cause
  }
  if (next !== undefined && !(next instanceof Error)) stacks.push(messageOf(next).slice(0, maxStackLength))
  return stacks.join('\nCaused by: ').slice(0, maxStackLength)
}

/** The entry with one more record behind it. */
export function extended(entry: ParkedEntry, offset: Offset): ParkedEntry {
  if (offset <= entry.last) return entry
  return { ...entry, first: entry.count === 0 ? offset : entry.first, last: offset, count: entry.count + 1 }
}

/** The entry once the record at `offset` is done; undefined when nothing is left to hold. */
export function advanced(entry: ParkedEntry, offset: Offset, nowMs: number): ParkedEntry | undefined {
  const { redrive: handedBack = [], held, ...rest } = entry
  const isRedriven = handedBack.includes(offset)
  const redrive = handedBack.filter((other) => other !== offset)
  const waits = !isRedriven && entry.count > 0
  const count = waits ? (offset >= entry.last ? 0 : Math.max(1, entry.count - 1)) : entry.count
  if (count === 0 && redrive.length === 0) return undefined
  const next = { ...rest, first: waits ? offset + 1 : entry.first, count, attempt: 0, failures: [] }
  const stillHeld = isRedriven && held === true
  if (redrive.length === 0) return { ...next, dueMs: stillHeld ? null : nowMs }
  return { ...next, dueMs: nowMs, redrive, ...(stillHeld ? { held: true } : {}) }
}

/** The offset that is tried next, or where it is looked for. */
export function frontOf(entry: ParkedEntry): Offset {
  return entry.redrive?.[0] ?? entry.first
}

/**
 * The entry after one more failure of the record at `offset`. When something was handed back while that was running, the
 * failure is not counted against what is at the front now; a record that is to be held is held behind it.
 */
export function failed(
  entry: ParkedEntry,
  offset: Offset,
  failure: Failure,
  dueMs: number | null,
): ParkedEntry {
  if (entry.redrive !== undefined && entry.redrive[0] !== offset) {
    return dueMs === null && !entry.redrive.includes(offset) ? { ...entry, held: true } : entry
  }
  return {
    ...entry,
    attempt: failure.attempt,
    dueMs,
    failures: [...entry.failures, failure].slice(-maxFailures),
  }
}

/** Whether the record at `offset` was handed back and is not done yet, or is the one that the entry stands at. */
export function isPending(entry: ParkedEntry, offset: Offset): boolean {
  const isHeld = entry.count > 0 && offset >= entry.first && offset <= entry.last
  return isHeld || entry.redrive?.includes(offset) === true
}

/** The entry without the pending record at `offset`, behind which a held key goes on; undefined when nothing is left to hold. */
export function discarded(entry: ParkedEntry, offset: Offset, nowMs: number): ParkedEntry | undefined {
  const [front, ...others] = entry.redrive ?? []
  if (front === undefined || !others.includes(offset)) return advanced(entry, offset, nowMs)
  // What is tried at the front keeps its attempts.
  return { ...entry, redrive: [front, ...others.filter((other) => other !== offset)] }
}

/** The entry with a dead letter handed back; at once due. A record that the entry holds already is only made due. */
export function redriven(entry: ParkedEntry, offset: Offset, nowMs: number): ParkedEntry {
  const due = { attempt: 0, dueMs: nowMs, failures: [] }
  const { held, ...rest } = entry
  if (entry.count > 0 && offset >= entry.first && offset <= entry.last) return { ...rest, ...due }
  if (entry.redrive?.includes(offset)) return { ...entry, ...due }
  const redrive = [...(entry.redrive ?? []), offset].sort((a, b) => a - b)
  const isFrontHeld = held ?? (entry.dueMs === null && entry.count > 0 && entry.redrive === undefined)
  return { ...rest, ...due, redrive, ...(isFrontHeld ? { held: true } : {}) }
}
