import type { App } from '../app/app.ts'
import { commandOf } from '../bus/definitions.ts'
import { HandlerFilters } from '../bus/handler-filters.ts'
import { delayedType } from '../bus/internal-sinks.ts'
import { resultIdOf } from '../bus/results.ts'
import { routedView } from '../bus/routed-view.ts'
import { loadedCompiler } from '../bus/rules/application-rules.ts'
import type { HandlerStatus } from '../bus/status.ts'
import { isMillraceError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { silentLogger } from '../core/runtime.ts'
import { partitionOf } from '../log/partition.ts'
import { deadLettersOf } from './dead-letters.ts'
import type {
  AcknowledgedEvent,
  History,
  KeyLedger,
  LoggedRecord,
  ParkedKey,
  Subscription,
} from './history.ts'
import { eventName, witnessesOf } from './history.ts'
import { PresentNames } from './present-names.ts'
import { type Publishers, toldOf } from './publishers.ts'
import { ruledRecords } from './ruled-records.ts'
import type { SimulatedProcess, World } from './simulated-process.ts'
import { verifiedStates } from './verified-states.ts'
import { type Ledger, ledgerName } from './witness.ts'

/** Timers look at the clock at least this often, so that is how late they can be once it has jumped. */
const graceMs = 61_000

/**
 * What is still to be done, in words; none once everything has settled, undisturbed since `undisturbedSinceMs` of elapsed time.
 * Processes are asked only when nothing else is.
 */
export async function unsettled(
  world: World,
  processes: readonly SimulatedProcess[],
  publishers: Publishers,
  undisturbedSinceMs: number,
): Promise<readonly string[]> {
  const reasons: string[] = []
  if (publishers.open > 0) reasons.push(`${publishers.open} events are not acknowledged`)
  const latestDueMs = Math.max(latestPublishedMs(world), latestEmitMs(world))
  // A clock that has jumped ahead just now may say that what timers have not looked at is long due.
  if (latestDueMs > 0 && world.time.elapsedMs < undisturbedSinceMs + graceMs)
    reasons.push('timers may not have looked at their clocks yet')
  for (const process of processes) {
    if (process.running === undefined) reasons.push(`${process.name} is not running`)
    else if ((process.clock?.now() ?? 0) < latestDueMs + graceMs)
      reasons.push(`delayed events are not due at ${process.name}`)
  }
  return reasons.length > 0 ? reasons : await whatProcessesSay(world, processes)
}

async function whatProcessesSay(
  world: World,
  processes: readonly SimulatedProcess[],
): Promise<readonly string[]> {
  const reasons: string[] = []
  const owned = new Map<string, number>()
  for (const process of processes) {
    const statuses = (await process.running?.status()) ?? []
    for (const status of statuses) {
      const reason = busy(status)
      if (reason !== undefined) reasons.push(`'${status.name}' at ${process.name} ${reason}`)
      owned.set(status.name, (owned.get(status.name) ?? 0) + status.partitions.length)
    }
  }
  for (const { name } of world.app.handlers) {
    const missing = world.partitions - (owned.get(name) ?? 0)
    if (missing > 0) reasons.push(`${missing} partitions of '${name}' are owned by nobody`)
  }
  return reasons
}

function busy(status: HandlerStatus): string | undefined {
  if (status.lag > 0) return `lags by ${status.lag}`
  if (status.inFlight > 0) return `runs ${status.inFlight} attempts`
  if (status.waiting > 0) return `has ${status.waiting} records waiting`
  if (status.paused) return 'is paused'
  if (status.stuck.length > 0) return `is stuck at ${status.stuck.join(', ')}`
  const due = status.parked.sample.filter(({ dueMs }) => dueMs !== undefined)
  return due.length > 0 ? `has ${due.length} parked keys to try again` : undefined
}

/** When a delayed event is due, as it is stored: a publish that was repeated may have asked for another time. */
function dueOf({ event }: LoggedRecord): number | undefined {
  return event.type === delayedType ? (event.data as { dueMs: number }).dueMs : undefined
}

function latestPublishedMs({ recorder }: World): number {
  return recorder.log.reduce((latestMs, record) => Math.max(latestMs, dueOf(record) ?? 0), 0)
}

/** Acknowledged events with the time at which they are due, as the log has it. */
export function withDueTimes(
  acknowledged: readonly Omit<AcknowledgedEvent, 'dueMs'>[],
  log: readonly LoggedRecord[],
): readonly AcknowledgedEvent[] {
  const due = new Map(log.map((record) => [`${record.topic} ${eventName(record.event)}`, dueOf(record)]))
  return acknowledged.map((event) => ({ ...event, dueMs: due.get(`${event.topic} ${eventName(event)}`) }))
}

/** The handlers of an application, as the invariants know them. */
export function subscriptionsOf(app: App): readonly Subscription[] {
  const filters = new HandlerFilters(app.handlers, silentLogger, loadedCompiler(), routedView(app.events))
  return app.handlers.map(
    ({ name, kind, events, options, condition }): Subscription => ({
      handler: name,
      kind,
      types: events.map(({ type }) => type),
      fromStart: options.from === undefined || options.from === 'start',
      silent: options.catchUp === 'silent',
      whenExhausted: options.whenExhausted ?? 'skip',
      ...(options.key === undefined ? {} : { keyOf: tolerant(options.key) }),
      ...(condition === undefined ? {} : { wants: (event: Event) => filters.lets(name, event) }),
    }),
  )
}

/** The streams of an application, as the invariants know them. */
export function streamsOf(app: App): NonNullable<History['streams']> {
  return app.streams.map(({ name, events }) => ({ name, types: events.map(({ type }) => type) }))
}

/** A key function that gives undefined where it throws, or gives a promise. */
function tolerant(key: (data: never) => string): (data: unknown) => string | undefined {
  return (data) => {
    try {
      const given: unknown = key(data as never)
      if (given instanceof Promise) given.catch(() => {})
      return typeof given === 'string' ? given : undefined
    } catch {
      return undefined
    }
  }
}

function latestEmitMs({ recorder }: World): number {
  let latestMs = 0
  for (const { emits, outcome } of recorder.attempts) {
    if (outcome !== 'returned') continue
    for (const { dueMs } of emits) latestMs = Math.max(latestMs, dueMs ?? 0)
  }
  return latestMs
}

/** What was seen, with what the processes that are given say at the end. */
export async function readHistory(world: World, processes: readonly SimulatedProcess[]): Promise<History> {
  const { recorder, app, time, epochMs } = world
  const names = new PresentNames(app)
  const log = names.inLog(recorder.log)
  const history: History = {
    subscriptions: subscriptionsOf(app),
    acknowledged: withDueTimes(recorder.acknowledged, log),
    attempts: names.of(recorder.attempts),
    log,
    deadLetters: deadLettersOf(log),
    parked: await readParked(processes),
    ledgers: [],
    cursors: names.of(recorder.cursors),
    streams: streamsOf(app),
    appends: recorder.appends,
    ruled: ruledRecords(log, app),
    findings: verifiedStates(world),
    endedMs: Math.min(
      epochMs + time.elapsedMs,
      ...processes.map((process) => process.clock?.now() ?? epochMs),
    ),
  }
  await fetchResults(world, history, processes)
  return { ...history, results: recorder.results, ledgers: await readLedgers(world, history, processes) }
}

/** Asks for the result of every command that was acknowledged, of one process after another. */
async function fetchResults(
  { recorder, app }: World,
  { acknowledged, log }: History,
  processes: readonly SimulatedProcess[],
): Promise<void> {
  const running = processes.flatMap((process) => process.running ?? [])
  const commands = new Set(app.handlers.flatMap((definition) => commandOf(definition)?.type ?? []))
  const types = new Map(log.map(({ event }) => [eventName(event), event.type]))
  const wanted = acknowledged.filter((event) => commands.has(types.get(eventName(event)) ?? ''))
  for (const [index, event] of wanted.entries()) {
    const asked = running[index % running.length]
    if (asked === undefined) return
    recorder.told(event, await toldOf(asked, resultIdOf(event)), true)
  }
}

async function readParked(processes: readonly SimulatedProcess[]): Promise<readonly ParkedKey[]> {
  const parked: ParkedKey[] = []
  for (const process of processes) {
    for (const status of (await process.running?.status()) ?? []) {
      for (const { topic, key, first, last, dueMs } of status.parked.sample) {
        parked.push({ handler: status.name, topic, key, first, last, dueMs })
      }
    }
  }
  return parked
}

async function readLedgers(
  world: World,
  history: History,
  processes: readonly SimulatedProcess[],
): Promise<readonly KeyLedger[]> {
  const ledgers: KeyLedger[] = []
  const seen = new Set<string>()
  const owners = await readOwners(processes)
  for (const { handler, key } of witnessesOf(history, 'done')) {
    const isThere = world.app.handlers.some(({ name }) => name === handler)
    if (!isThere || seen.has(`${handler} ${key}`)) continue
    seen.add(`${handler} ${key}`)
    const owner = owners.get(`${handler} ${partitionOf(key, world.partitions)}`)
    const ledger = await readLedger(world, owner === undefined ? processes : [owner], handler, key)
    if (ledger !== 'nobody') {
      ledgers.push({ handler, key, last: ledger?.last, count: ledger?.count ?? 0 })
    }
  }
  return ledgers
}

/** Who owns which partition of each handler: asked itself, it answers at once, while nothing else happens. */
async function readOwners(
  processes: readonly SimulatedProcess[],
): Promise<ReadonlyMap<string, SimulatedProcess>> {
  const owners = new Map<string, SimulatedProcess>()
  for (const process of processes) {
    for (const { name, partitions } of (await process.running?.status()) ?? []) {
      for (const partition of partitions) owners.set(`${name} ${partition}`, process)
    }
  }
  return owners
}

async function readLedger(
  world: World,
  processes: readonly SimulatedProcess[],
  handler: string,
  key: string,
): Promise<Ledger | undefined | 'nobody'> {
  for (const process of processes) {
    const running = process.running
    const definition = running?.app.handlers.find(({ name }) => name === handler)
    if (running === undefined || definition === undefined) continue
    try {
      const state: Readonly<Record<string, unknown>> = await running.read(definition, key)
      return state[ledgerName] as Ledger | undefined
    } catch (error) {
      if (!isMillraceError(error, 'OWNER_UNREACHABLE')) throw error
    }
  }
  if (processes.length > 0) world.recorder.problem(`nobody owns key '${key}' of '${handler}'`)
  return 'nobody'
}
