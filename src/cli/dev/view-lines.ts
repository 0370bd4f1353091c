import type { HandlerStatus } from '../../bus/status.ts'
import { table } from '../output.ts'
import type { SeenFailure } from './messages.ts'
import { shownEvents, type ViewState } from './view-state.ts'

/** A line of the view, and what it is, which says how it looks. */
export interface ViewLine {
  readonly kind: 'title' | 'heading' | 'text' | 'failure' | 'keys'
  readonly text: string
}

/** How much room there is. */
export interface ViewSize {
  readonly columns: number
  readonly rows: number
}

const most = { handlers: 12, events: 8, failures: 4 } as const
/** Title, keys, three headings and the empty line in front of each. */
const framing = 8

/** What the view looks like: never more lines than `rows - 1`, none wider than `columns`. */
export function viewLines(view: ViewState, size: ViewSize, nowMs: number): readonly ViewLine[] {
  const room = Math.max(0, size.rows - 1 - framing)
  const failures = failuresOf(view, nowMs).slice(0, Math.min(most.failures, Math.floor(room / 4)))
  const handlers = handlerRows(
    view.handlers,
    Math.min(most.handlers, Math.ceil((room - failures.length) / 2)),
  )
  const events = eventRows(view, Math.min(most.events, room - failures.length - handlers.length), nowMs)
  const lines: ViewLine[] = [
    { kind: 'title', text: titleOf(view) },
    ...section(handlers),
    ...section(events),
    ...(failures.length === 0 ? [] : section(['FAILURES', ...failures], 'failure')),
    { kind: 'keys', text: keysOf(view) },
    ...(view.help ? help : []),
  ]
  return lines.slice(0, Math.max(1, size.rows - 1)).map(({ kind, text }) => ({
    kind,
    text: printable(text).slice(0, Math.max(1, size.columns - 1)),
  }))
}

const help: readonly ViewLine[] = [
  '/  shows only events whose type contains a text or matches a pattern: order, shop.*.placed, shop.>',
  'o  opens the platform port in the browser   r  reloads without a save   q  drains and ends',
  'p50 is the middle of how long the last attempts took; parked are keys whose event is tried again later',
].map((text) => ({ kind: 'text' as const, text }))

function titleOf({ app, status, urls, reloads }: ViewState): string {
  const state = status === 'running' ? `running, reloaded ${reloads} times` : status
  return `${app ?? 'the application'}  ${state.replace('reloaded 0 times', 'not reloaded yet').replace(/\b1 times/, 'once')}  ${urls.platform}`
}

function keysOf({ filter, typing }: ViewState): string {
  if (typing !== undefined) return `/${typing}▏ return keeps the filter, escape the one before`
  const shown = filter === '' ? '/ filter' : `/ filter: ${filter}`
  return `${shown}  o open  r reload  q quit  ? help`
}

function section(texts: readonly string[], kind: ViewLine['kind'] = 'text'): readonly ViewLine[] {
  const [heading, ...rest] = texts
  if (heading === undefined) return []
  return [{ kind: 'heading', text: heading }, ...rest.map((text) => ({ kind, text }))]
}

/** The handlers at work come first when there is not room for all. */
function handlerRows(handlers: readonly HandlerStatus[], room: number): readonly string[] {
  if (handlers.length === 0) return []
  const byWork = [...handlers].sort((a, b) => workOf(b) - workOf(a))
  const chosen = new Set(byWork.slice(0, Math.max(1, room)))
  const shown = handlers.filter((handler) => chosen.has(handler))
  const rows = shown.map(({ name, counts, inFlight, waiting, parked, durations, paused }) => [
    paused ? `${name} (paused)` : name,
    counts.handled,
    inFlight,
    waiting,
    parked.keys,
    counts.failures,
    counts.deadLettered,
    durations === undefined ? '-' : duration(durations.medianMs),
    durations === undefined ? '-' : duration(durations.longestMs),
  ])
  const heading = ['HANDLERS', 'handled', 'running', 'waiting', 'parked', 'failed', 'dead', 'p50', 'longest']
  const more = handlers.length - shown.length
  return [...table([heading, ...rows]), ...(more > 0 ? [`and ${more} more`] : [])]
}

function workOf({ inFlight, waiting, parked, counts }: HandlerStatus): number {
  return (inFlight + waiting + parked.keys) * 1e9 + counts.attempts
}

function eventRows(view: ViewState, room: number, nowMs: number): readonly string[] {
  const events = shownEvents(view).slice(0, Math.max(0, room))
  const heading = `EVENTS  ${view.eventCount} since the start`
  if (events.length === 0) return [`${heading}${view.eventCount === 0 ? '' : ', none shown'}`]
  const rows = events.map(({ type, key, atMs }) => [type, key, age(nowMs - atMs)])
  // The first row is a heading to table(); here there is none.
  return [heading, ...table([['', '', ''], ...rows]).slice(1)]
}

/** What fails now and is tried again, then what was given up. */
function failuresOf({ handlers, deadLetters }: ViewState, nowMs: number): readonly string[] {
  const parked = handlers.flatMap(({ name, parked: { sample } }) =>
    sample.map(({ key, attempt, dueMs, error }) => {
      const next =
        dueMs === undefined ? 'held until redriven' : `again in ${duration(Math.max(0, dueMs - nowMs))}`
      return `${name}  ${key}  attempt ${attempt}, ${next}: ${error}`
    }),
  )
  return [...parked, ...[...deadLetters].reverse().map((letter) => deadLetterText(letter, nowMs))]
}

function deadLetterText({ handler, key, message, atMs }: SeenFailure, nowMs: number): string {
  return `${handler}  ${key}  gave up ${age(nowMs - atMs)}: ${message}`
}

/** How long ago, in one unit. */
function age(durationMs: number): string {
  return durationMs < 1000 ? 'now' : `${duration(durationMs)} ago`
}

/** How long, in one unit. */
function duration(durationMs: number): string {
  if (durationMs < 1) return '<1 ms'
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`
  if (durationMs < 60_000) return `${Math.floor(durationMs / 1000)} s`
  return durationMs < 3_600_000
    ? `${Math.floor(durationMs / 60_000)} min`
    : `${Math.floor(durationMs / 3_600_000)} h`
}

/** Keys and messages come from outside: what would move the cursor is not written to a terminal. */
function printable(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ').replace(/\p{Cc}|\p{Cf}/gu, '�')
}
