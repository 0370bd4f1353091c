import type { AnyEventType, Event } from '../core/event.ts'
import type { Schema } from '../core/schema.ts'
import { isXml } from '../core/xml-text.ts'

/** What filters and rules see of an event. */
export type RoutedView = (event: Event) => Event

/**
 * Filters and rules see events as they are. Only of one whose data is XML, and whose type was declared with `xml(…)`, they see
 * what that schema makes of the text: parsed once for all that ask, and text still where it cannot be.
 */
export function routedView(events: ReadonlyMap<string, AnyEventType>): RoutedView {
  const views = new WeakMap<Event, Event>()
  return (event) => {
    if (typeof event.data !== 'string' || !isXml(event.datacontenttype)) return event
    let view = views.get(event)
    if (view === undefined) {
      view = parsed(event, event.data, events.get(event.type)?.schema)
      views.set(event, view)
    }
    return view
  }
}

function parsed(event: Event, text: string, schema: Schema | undefined): Event {
  if (schema === undefined || !parsesXml(schema)) return event
  try {
    return { ...event, data: schema.parse(text) }
  } catch {
    return event
  }
}

/** Whether a schema was made by `xml` of `millrace/xml`, which is not imported here: it brings a parser. */
function parsesXml(schema: Schema): schema is Schema & { parse(text: string): unknown } {
  return schema['~standard'].vendor === 'millrace' && 'parse' in schema
}
