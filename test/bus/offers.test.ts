import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { HandlerFilters } from '../../src/bus/handler-filters.ts'
import { Offers } from '../../src/bus/offers.ts'
import type { RecordSink } from '../../src/bus/record-sink.ts'
import { routedView } from '../../src/bus/routed-view.ts'
import { type Event, event } from '../../src/core/event.ts'
import { silentLogger } from '../../src/core/runtime.ts'

const Placed = event('order.placed', { schema: z.object({ region: z.string() }) })
const definitions = [
  on({ type: Placed, data: { region: ['north'] } }, { name: 'north' }, () => {}),
  on({ type: Placed, data: { region: ['south'] } }, { name: 'south' }, () => {}),
  on(Placed, { name: 'all' }, () => {}),
]

function offers(): Offers {
  const view = routedView(new Map([[Placed.type, Placed]]))
  const made = new Offers(new HandlerFilters(definitions, silentLogger, undefined, view))
  for (const { name } of definitions) made.add(sink(name))
  made.add(sink(undefined))
  return made
}

function sink(handler: string | undefined): RecordSink {
  const nothing = () => {}
  const name = handler === undefined ? {} : { handler }
  const types = new Set([Placed.type])
  return { ...name, read: 0, types, isIdle: true, hasRoom: () => true, ...calls(nothing) }
}

function calls(nothing: () => void): Pick<RecordSink, 'offer' | 'unreadable' | 'advance' | 'pump'> {
  return { offer: nothing, unreadable: nothing, advance: nothing, pump: nothing }
}

function placed(extensions: Partial<Event> = {}): Event {
  const time = '2026-01-01T00:00:00.000Z'
  return {
    ...{ specversion: '1.0', id: '1', source: 'test', type: Placed.type, time },
    ...{ data: { region: 'south' }, ...extensions },
  } as Event
}

const namesOf = (sinks: readonly RecordSink[]) => sinks.map(({ handler }) => handler)

describe('an event', () => {
  it('is offered to those without a filter, and to those whose filter matches', () => {
    expect(namesOf(offers().to(placed(), true))).toEqual(['all', undefined, 'south'])
  })

  it('of another type is offered to nobody', () => {
    expect(offers().to(placed({ type: 'order.other' }), true)).toEqual([])
  })

  it.each([
    ['is sent to one handler', placed({ millraceto: 'north' }), true],
    ['has a publisher that waits for every handler to answer', placed({ millracereplyto: 'a/1/b' }), true],
    ['cannot be read', placed(), false],
  ])('that %s is offered to all of its type, whatever their filters', (_, given, isReadable) => {
    expect(namesOf(offers().to(given, isReadable))).toEqual(['all', undefined, 'north', 'south'])
  })
})
