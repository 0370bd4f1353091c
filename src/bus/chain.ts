import { MillraceError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'

/** How many of the last handlers of a chain are named when it has become too long. */
const pathLength = 16
const separator = ' > '

/** What an event takes over from the one that caused it. */
export interface ChainAttributes {
  readonly correlationid: string
  readonly causationid: string
  readonly traceparent: string | undefined
  readonly hops: number
  readonly millracepath?: string
}

/**
 * What an event that a handler emits takes over from the one that it handles. A chain that comes near the limit also carries the
 * handlers that it went through: most chains are short, and need not pay for it.
 */
export function chainAttributes(event: Event, handler: string, hopLimit: number): ChainAttributes {
  const { id: causationid, correlationid = causationid, traceparent } = event
  const hops = (event.hops ?? 0) + 1
  if (hops <= hopLimit - pathLength) return { correlationid, causationid, traceparent, hops }
  return { correlationid, causationid, traceparent, hops, millracepath: pathWith(event, handler) }
}

function pathWith(event: Event, handler: string): string {
  const step = `${event.type} > ${handler}`
  return event.millracepath === undefined ? step : `${event.millracepath}${separator}${step}`
}

/** The failure of an event whose chain has passed through too many handlers, with the last part of its path. */
export function loopError(event: Event, hopLimit: number): MillraceError {
  const path = [...(event.millracepath?.split(separator) ?? []), event.type]
  return new MillraceError(
    'LOOP_SUSPECTED',
    `A chain of events passed through more than ${hopLimit} handlers: ${path.join(separator)}.`,
    {
      where: `event '${event.type}', correlation ${event.correlationid ?? event.id}`,
      fix: 'Break the cycle of handlers that emit to one another, or raise hopLimit.',
      facts: { path },
    },
  )
}
