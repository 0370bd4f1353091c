import type { HandlerStatus } from '../../bus/status.ts'
import { matchesType, typePatternFault } from '../../core/type-pattern.ts'
import type { DevEvent } from './dev-event.ts'
import type { Activity, SeenEvent, SeenFailure } from './messages.ts'

/** What the live view shows; changed only by the functions below, which give a new one. */
export interface ViewState {
  readonly app: string | undefined
  readonly status: 'loading' | 'running' | 'down'
  readonly urls: { readonly platform: string; readonly app: string }
  /** How often it was reloaded. */
  readonly reloads: number
  readonly handlers: readonly HandlerStatus[]
  /** The newest last. */
  readonly events: readonly SeenEvent[]
  /** How many events there were in all. */
  readonly eventCount: number
  /** What handlers gave up on, the newest last. */
  readonly deadLetters: readonly SeenFailure[]
  /** Part of an event's type, or a pattern. */
  readonly filter: string
  /** The filter while it is being typed. */
  readonly typing: string | undefined
  readonly help: boolean
}

/** What a key asks for beyond the view itself. */
export type ViewAction = 'open' | 'reload' | 'quit' | undefined

/** A key as `node:readline` tells it. */
export interface Key {
  readonly name?: string | undefined
  readonly sequence?: string | undefined
  readonly ctrl?: boolean | undefined
  readonly meta?: boolean | undefined
}

const kept = { events: 200, deadLetters: 20 } as const
const longestFilter = 100

/** The view of an application that is being loaded for the first time. */
export function initialView(urls: ViewState['urls']): ViewState {
  return {
    app: undefined,
    status: 'loading',
    urls,
    reloads: 0,
    handlers: [],
    events: [],
    eventCount: 0,
    deadLetters: [],
    filter: '',
    typing: undefined,
    help: false,
  }
}

/** The view after the supervisor has told something. */
export function afterEvent(view: ViewState, event: DevEvent): ViewState {
  switch (event.kind) {
    case 'started':
    case 'reloaded':
      return {
        ...view,
        app: event.app,
        status: 'running',
        reloads: view.reloads + (event.kind === 'reloaded' ? 1 : 0),
      }
    case 'load-failed':
    case 'start-failed':
      return { ...view, status: event.running ? 'running' : 'down' }
    case 'crashed':
      return { ...view, status: 'down' }
    default:
      return view
  }
}

/** The view after something has happened in the application. */
export function afterActivity(view: ViewState, activity: Activity): ViewState {
  return {
    ...view,
    handlers: activity.handlers,
    events: [...view.events, ...activity.events].slice(-kept.events),
    eventCount: view.eventCount + activity.events.length + activity.passedOver,
    deadLetters: [...view.deadLetters, ...activity.deadLetters].slice(-kept.deadLetters),
  }
}

/** The view after a key, and what the key asks for. */
export function afterKey(
  view: ViewState,
  key: Key,
): { readonly view: ViewState; readonly action?: ViewAction } {
  if (key.ctrl === true && key.name === 'c') return { view, action: 'quit' }
  if (view.typing !== undefined) return { view: afterTyping(view, view.typing, key) }
  switch (key.sequence) {
    case '/':
      return { view: { ...view, typing: view.filter, help: false } }
    case '?':
      return { view: { ...view, help: !view.help } }
    case 'o':
      return { view, action: 'open' }
    case 'r':
      return { view, action: 'reload' }
    case 'q':
      return { view, action: 'quit' }
    default:
      return { view: key.name === 'escape' ? { ...view, filter: '', help: false } : view }
  }
}

function afterTyping(view: ViewState, typing: string, { name, sequence = '', ctrl, meta }: Key): ViewState {
  if (name === 'return' || name === 'enter') return { ...view, filter: typing, typing: undefined }
  if (name === 'escape') return { ...view, typing: undefined }
  if (name === 'backspace') return { ...view, typing: typing.slice(0, -1) }
  if (ctrl === true && name === 'u') return { ...view, typing: '' }
  const isText = ctrl !== true && meta !== true && /^[\w.*>-]$/.test(sequence)
  return isText && typing.length < longestFilter ? { ...view, typing: typing + sequence } : view
}

/** The newest events that pass the filter, which works while it is typed; newest first. */
export function shownEvents(view: ViewState): readonly SeenEvent[] {
  const filter = view.typing ?? view.filter
  const isPattern = /[*>]/.test(filter) && typePatternFault(filter) === undefined
  const passes = ({ type }: SeenEvent) => (isPattern ? matchesType(filter, type) : type.includes(filter))
  return view.events.filter(passes).reverse()
}
