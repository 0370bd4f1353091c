import type { Event } from '../core/event.ts'
import type { HandlerDefinition, Schedule, Tick } from './definitions.ts'
import { nextFiring } from './definitions.ts'
import type { PartitionState } from './partition-state.ts'
import { stateLayout } from './state-layout.ts'

/** The event type of a firing. */
export const tickType = 'millrace.tick'

/** The durable form of a schedule. */
export interface ScheduleDocument extends Schedule {
  /** When it fires next, in milliseconds since 1970 UTC; null when never. */
  readonly dueMs: number | null
}

/** A schedule that this partition fires. */
export interface ArmedSchedule {
  readonly name: string
  readonly document: ScheduleDocument
}

/**
 * Loads the schedule of a handler; a new one, and one whose pattern has changed, counts from now. A firing that was missed
 * while nothing ran is still due, once.
 */
export async function loadSchedule(
  definition: HandlerDefinition,
  state: PartitionState,
  nowMs: number,
): Promise<ArmedSchedule> {
  const { name } = definition
  const schedule = definition.schedule as Schedule
  const text = await state.get(stateLayout.schedule(name))
  const known = text === undefined ? undefined : (JSON.parse(text) as ScheduleDocument)
  if (known !== undefined && known.pattern === schedule.pattern && known.timezone === schedule.timezone) {
    return { name, document: known }
  }
  const document = rescheduled(name, schedule, nowMs)
  state.stage({ puts: [[stateLayout.schedule(name), document]] })
  return { name, document }
}

/** The schedule with its first firing after `nowMs`. */
export function rescheduled(name: string, schedule: Schedule, nowMs: number): ScheduleDocument {
  const { pattern, timezone } = schedule
  return { pattern, timezone, dueMs: nextFiring(schedule, nowMs, name) ?? null }
}

/** The event of a firing: its id is `name@scheduled`. */
export function tickEvent(name: string, dueMs: number, source: string, nowMs: number): Event<Tick> {
  const scheduled = new Date(dueMs).toISOString()
  return {
    specversion: '1.0',
    id: `${name}@${scheduled}`,
    source,
    type: tickType,
    time: new Date(nowMs).toISOString(),
    partitionkey: name,
    data: { name, scheduled },
  }
}
