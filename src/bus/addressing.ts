import { MillraceError } from '../core/errors.ts'
import type { AnyEventType, Event } from '../core/event.ts'

/** A handler that events can be sent to: what `on` gives. */
export interface SendTarget<T extends AnyEventType = AnyEventType> {
  readonly name: string
  readonly events: readonly T[]
}

/** The event types that a handler can be sent; any, where it is given by its name alone. */
export type SentTo<Target> = Target extends SendTarget<infer T> ? T : AnyEventType

/** Gives the name of a handler that handles a type. Throws `HANDLER_UNKNOWN` or `EVENT_NOT_HANDLED`. */
export type AddressOf = (handler: SendTarget | string, type: AnyEventType) => string

/** Finds the addresses of an application's handlers. */
export function addressBook(handlers: readonly SendTarget[]): AddressOf {
  const typesOf = new Map(handlers.map(({ name, events }) => [name, new Set(events.map(({ type }) => type))]))
  return (handler, type) => {
    const name = typeof handler === 'string' ? handler : handler?.name
    if (typeof name !== 'string') {
      throw new TypeError('send: the first argument must be a handler made by on(), or its name')
    }
    if (typeof type?.type !== 'string') {
      throw new TypeError('send: the second argument must be an event type made by event()')
    }
    const types = typesOf.get(name)
    if (types === undefined) throw unknownHandler(name, [...typesOf.keys()])
    if (!types.has(type.type)) throw notHandled(name, type.type, [...types])
    return name
  }
}

/** Whether an event is for a handler: it is addressed to nobody, or to one of the names that the handler has or had. */
export function isFor(event: Event, names: readonly (string | undefined)[]): boolean {
  return event.millraceto === undefined || names.includes(event.millraceto)
}

function unknownHandler(name: string, names: readonly string[]): MillraceError {
  return new MillraceError('HANDLER_UNKNOWN', `This application has no handler '${name}'.`, {
    where: 'handler',
    fix: names.length === 0 ? 'List the handler under `handlers`.' : `Use one of: ${names.join(', ')}.`,
  })
}

function notHandled(name: string, type: string, types: readonly string[]): MillraceError {
  return new MillraceError('EVENT_NOT_HANDLED', `Handler '${name}' does not handle '${type}'.`, {
    where: `handler '${name}'`,
    fix: types.length === 0 ? 'A schedule cannot be sent to.' : `Send it one of: ${types.join(', ')}.`,
    facts: { handler: name, type, handles: types },
  })
}
