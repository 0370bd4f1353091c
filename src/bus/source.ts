import { isMillraceError, type MillraceError, messageOf } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { Entry } from '../log/port.ts'
import type { OpenTableFeed } from '../log/table-feed.ts'
import type { Door } from './door.ts'
import type { EventAttributes } from './made-event.ts'
import type { PartitionState } from './partition-state.ts'
import { stateLayout } from './state-layout.ts'

/** Something outside that events come from, as an application lists it. */
export interface SourceDefinition {
  /** Its position is kept under this name. */
  readonly name: string
  /** The types of its events. */
  readonly events: readonly AnyEventType[]
  /** Opens it behind a position, which is undefined at first. May be called again after it has failed. */
  open(context: SourceContext): Promise<OpenSource>
}

/** What a source is opened with. */
export interface SourceContext {
  readonly app: string
  readonly position: unknown
  readonly runtime: Runtime
  /** Opens the feed of a table; `database` is that of the log unless given. */
  readonly openTableFeed: (
    options: Omit<Parameters<OpenTableFeed>[0], 'database' | 'runtime'> & {
      readonly database?: string | undefined
    },
  ) => ReturnType<OpenTableFeed>
}

/** A source that is open in this process. */
export interface OpenSource {
  /** Resolves with what comes next, as soon as there is something. */
  next(signal: AbortSignal): Promise<SourceBatch>
  /** The events up to this position are durable. */
  kept(position: unknown): Promise<void>
  close(): Promise<void>
}

/** Events that are appended together with the position behind them, or not at all. */
export interface SourceBatch {
  readonly events: readonly SourceEvent[]
  readonly position: unknown
}

/** An event of a source. */
export interface SourceEvent {
  readonly type: AnyEventType
  readonly data: unknown
  readonly attributes: EventAttributes
  /** What is appended in its stead when the door refuses it, so that it is not lost. */
  refused(error: MillraceError): Omit<SourceEvent, 'refused'>
}

/** What a source is run with, by the owner of its partition. */
export interface SourceTools {
  readonly state: PartitionState
  readonly door: Pick<Door, 'admit'>
  readonly runtime: Runtime
  readonly logger: Logger
  /** Aborted when the claim is over, or the process stops. */
  readonly signal: AbortSignal
  readonly context: Pick<SourceContext, 'app' | 'openTableFeed'>
}

/** How long is waited after a failure: doubled each time, up to a bound. */
const waitsMs = { first: 250, most: 15_000 } as const

/**
 * Takes events from a source until the signal aborts, each batch in one step with its position. A source that fails is opened again
 * where it was, after a while: it does not hold up the partition, and handlers go on.
 */
export async function runSource(source: SourceDefinition, tools: SourceTools): Promise<void> {
  const { signal, logger, runtime } = tools
  let waitMs: number = waitsMs.first
  while (!signal.aborted) {
    try {
      await takeFrom(source, tools, () => (waitMs = waitsMs.first))
    } catch (error) {
      if (signal.aborted) return
      logger.warn(
        { err: error, source: source.name },
        `a source failed and is opened again: ${messageOf(error)}`,
      )
      await runtime.sleep(waitMs, signal).catch(() => {})
      waitMs = Math.min(2 * waitMs, waitsMs.most)
    }
  }
}

async function takeFrom(source: SourceDefinition, tools: SourceTools, wentWell: () => void): Promise<void> {
  const { state, signal, runtime, context } = tools
  const key = stateLayout.source(source.name)
  const text = await state.get(key)
  const { position } = (text === undefined ? {} : JSON.parse(text)) as { readonly position?: unknown }
  const open = await source.open({ ...context, position, runtime })
  try {
    while (!signal.aborted) {
      const batch = await open.next(signal)
      const appends = await entriesOf(batch.events, tools)
      state.stage({ puts: [[key, { position: batch.position }]], appends })
      await state.flush()
      await open.kept(batch.position)
      wentWell()
    }
  } finally {
    await open.close()
  }
}

async function entriesOf(events: readonly SourceEvent[], { door, logger }: SourceTools): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const event of events) {
    const { deduplicationId: _, ...entry } = await admit(event, door, logger)
    // It commits with the position behind it, so it cannot come twice, and its id need not be remembered.
    entries.push(entry)
  }
  return entries
}

async function admit(event: SourceEvent, door: SourceTools['door'], logger: Logger): Promise<Entry> {
  let current: Omit<SourceEvent, 'refused'> = event
  for (let left = 2; ; left -= 1) {
    const { type, data, attributes } = current
    try {
      return (await door.admit(type, data, attributes)).entry
    } catch (error) {
      if (left === 0 || !isMillraceError(error)) throw error
      logger.warn(
        { err: error, type: type.type, key: attributes.partitionkey },
        'an event of a source was refused',
      )
      current = event.refused(error)
    }
  }
}
