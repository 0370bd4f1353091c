import type { Event, IncomingEvent } from '../core/event.ts'
import { plainObjects } from '../core/plain-object.ts'

/** The attributes that a publisher may set itself. */
export interface EventAttributes {
  readonly id?: string | undefined
  readonly source?: string | undefined
  readonly time?: string | undefined
  readonly subject?: string | undefined
  readonly datacontenttype?: string | undefined
  readonly partitionkey?: string | undefined
  readonly correlationid?: string | undefined
  readonly causationid?: string | undefined
  readonly traceparent?: string | undefined
  readonly hops?: number | undefined
  readonly dataversion?: number | undefined
  readonly millracereplyto?: string | undefined
  readonly millraceto?: string | undefined
  readonly millracepath?: string | undefined
}

/** What an event is put together from; what is undefined is left out. */
export interface EventParts {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly time: string
  readonly attributes: EventAttributes
  /** The event as it came from outside, whose other attributes it has too. */
  readonly outside: IncomingEvent | undefined
  readonly partitionkey: string | undefined
  readonly dataversion: number | undefined
  readonly data: unknown
}

/**
 * Puts an event together, as a plain object that is not frozen yet. An event that another one caused has more attributes than one
 * that is published, so each kind has a constructor of its own, with as much room as it takes.
 */
export function madeEvent(parts: EventParts): Event {
  const { correlationid, causationid, hops } = parts.attributes
  const isCaused = correlationid !== undefined && causationid !== undefined && hops !== undefined
  return isCaused ? new CausedEvent(parts) : new PublishedEvent(parts)
}

const PublishedEvent = plainObjects<Event, [EventParts]>(function (parts) {
  const { attributes, partitionkey, dataversion, data } = parts
  const { correlationid, causationid, hops } = attributes
  this.specversion = '1.0'
  this.id = parts.id
  this.source = parts.source
  this.type = parts.type
  this.time = parts.time
  if (correlationid !== undefined) this.correlationid = correlationid
  if (causationid !== undefined) this.causationid = causationid
  if (hops !== undefined) this.hops = hops
  addRare(this, parts)
  if (partitionkey !== undefined) this.partitionkey = partitionkey
  if (dataversion !== undefined) this.dataversion = dataversion
  if (data !== undefined) this.data = data
})

const CausedEvent = plainObjects<Event, [EventParts]>(function (parts) {
  const { attributes, partitionkey, dataversion, data } = parts
  this.specversion = '1.0'
  this.id = parts.id
  this.source = parts.source
  this.type = parts.type
  this.time = parts.time
  this.correlationid = attributes.correlationid as string
  this.causationid = attributes.causationid as string
  this.hops = attributes.hops as number
  addRare(this, parts)
  if (partitionkey !== undefined) this.partitionkey = partitionkey
  if (dataversion !== undefined) this.dataversion = dataversion
  if (data !== undefined) this.data = data
})

type Making = { -readonly [Name in keyof Event]: Event[Name] }

function addRare(event: Making, { attributes, outside }: EventParts): void {
  const { subject, datacontenttype, traceparent, millracereplyto, millraceto, millracepath } = attributes
  if (subject !== undefined) event.subject = subject
  if (datacontenttype !== undefined) event.datacontenttype = datacontenttype
  if (traceparent !== undefined) event.traceparent = traceparent
  if (millracereplyto !== undefined) event.millracereplyto = millracereplyto
  if (millraceto !== undefined) event.millraceto = millraceto
  if (millracepath !== undefined) event.millracepath = millracepath
  if (outside !== undefined) addOthers(event, outside)
}

function addOthers(event: object, outside: IncomingEvent): void {
  for (const name in outside) {
    const value = (outside as unknown as Readonly<Record<string, unknown>>)[name]
    const isSet = ofTheDoor.has(name) || Object.hasOwn(event, name)
    if (value !== undefined && !isSet) (event as Record<string, unknown>)[name] = value
  }
}

/** What the door gives an event itself, whatever one from outside says. */
const ofTheDoor: ReadonlySet<string> = new Set(['specversion', 'type', 'data', 'dataversion'])
