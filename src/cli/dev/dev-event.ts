import type { MainOptions } from '../../app/main.ts'
import { sourceFrame } from '../source-place.ts'
import type { Failure } from './messages.ts'

/** What a supervisor tells of itself. */
export type DevEvent =
  | {
      readonly kind: 'started' | 'reloaded'
      readonly app: string
      readonly pid: number
      readonly log: string
      readonly urls: MainOptions['urls']
      readonly handlers: readonly string[]
      /** From the save, or the beginning, until it took requests. */
      readonly tookMs: number
      /** For how long no version took requests. */
      readonly waitedMs: number
    }
  /** The old version, where there is one, was not touched. */
  | { readonly kind: 'load-failed'; readonly failure: Failure; readonly running: boolean }
  /** The old version, where there is one, runs again. */
  | { readonly kind: 'start-failed'; readonly failure: Failure; readonly running: boolean }
  | {
      readonly kind: 'crashed'
      readonly pid: number
      readonly code: number | null
      readonly signal: string | null
      readonly failure?: Failure
      readonly againInMs: number
    }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'stopping' }

/** How bad a line is, which says how it looks. */
export type LineKind = 'heading' | 'text' | 'failure' | 'source'

/** How the kinds of lines look. */
export const lineStyles = {
  heading: 'bold',
  text: 'reset',
  failure: 'red',
  source: 'yellow',
} as const satisfies Record<LineKind, string>

/** A line for people. */
export interface DevLine {
  readonly kind: LineKind
  readonly text: string
}

/** What a supervisor tells, in lines for people; with stacks where it is `verbose`. */
export function devLines(event: DevEvent, verbose = false): readonly DevLine[] {
  switch (event.kind) {
    case 'started':
      return [
        { kind: 'heading', text: `${event.app} is running` },
        { kind: 'text', text: `  platform  ${event.urls.platform}` },
        ...(event.urls.app === undefined
          ? []
          : [{ kind: 'text' as const, text: `  routes    ${event.urls.app}` }]),
        { kind: 'text', text: `  log       ${event.log}` },
        { kind: 'text', text: `  handlers  ${event.handlers.join(', ') || 'none'}` },
      ]
    case 'reloaded': {
      const took = `in ${Math.round(event.tookMs)} ms; requests waited ${Math.round(event.waitedMs)} ms at most`
      return [{ kind: 'heading', text: `${event.app} reloaded ${took}` }]
    }
    case 'load-failed':
      return failureLines(
        event.failure,
        event.running ? 'The version before goes on.' : 'Save a correction to go on.',
        verbose,
      )
    case 'start-failed':
      return failureLines(
        event.failure,
        event.running ? 'The version before runs again.' : 'Save a correction, or reload with r, to go on.',
        verbose,
      )
    case 'crashed': {
      const how = event.signal === null ? `with exit code ${event.code}` : `by ${event.signal}`
      const again = `It is started again in ${event.againInMs} ms.`
      if (event.failure !== undefined) return failureLines(event.failure, again, verbose)
      return [{ kind: 'failure', text: `The application ended ${how}. ${again}` }]
    }
    case 'note':
      return [{ kind: 'text', text: event.text }]
    case 'stopping':
      return [{ kind: 'text', text: 'Stopping: running handlers finish first. Once more to stop at once.' }]
  }
}

/** What a supervisor tells, for programs: one object; its first member says what it is. */
export function devJson(event: DevEvent): object | undefined {
  switch (event.kind) {
    case 'started':
    case 'reloaded': {
      const { kind, app, ...facts } = event
      return { [kind]: app, ...facts }
    }
    case 'load-failed':
      return { loadFailed: withoutStack(event.failure), running: event.running }
    case 'start-failed':
      return { startFailed: withoutStack(event.failure), running: event.running }
    case 'crashed': {
      const { kind: _kind, failure, ...facts } = event
      return { crashed: failure === undefined ? {} : withoutStack(failure), ...facts }
    }
    case 'note':
      return undefined
    case 'stopping':
      return { stopping: true }
  }
}

function withoutStack({ stack: _stack, ...failure }: Failure): object {
  return failure
}

function failureLines(failure: Failure, then: string, verbose: boolean): readonly DevLine[] {
  const { code, name, message, where, fix, place } = failure
  const [first = '', ...more] = message.split('\n')
  const at = where === undefined || place !== undefined ? '' : ` (${where})`
  return [
    { kind: 'failure', text: `${code ?? name}: ${first}${at}${fix === undefined ? '' : ` ${fix}`}` },
    ...more.map((text) => ({ kind: 'text' as const, text: `  ${text}` })),
    ...(place === undefined
      ? []
      : sourceFrame(place).map((text) => ({ kind: 'source' as const, text: `  ${text}` }))),
    ...(verbose
      ? (failure.stack ?? '').split('\n').map((text) => ({ kind: 'text' as const, text: `  ${text}` }))
      : []),
    { kind: 'text', text: then },
  ]
}
