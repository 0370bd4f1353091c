import { openEngine } from '../../src/app/open-engine.ts'
import type { CursorDocument } from '../../src/bus/cursor-tracker.ts'
import { internalTopics, isInternalTopic } from '../../src/bus/internal-topics.ts'
import type { ParkedEntry } from '../../src/bus/parked-entry.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import type { Claim, LogEngine, Offset } from '../../src/log/port.ts'
import { deadLettersOf } from '../../src/testing/dead-letters.ts'
import type {
  AcknowledgedEvent,
  Attempt,
  CursorSample,
  HeldKey,
  History,
  KeyLedger,
  LoggedRecord,
  ParkedKey,
  ToldResult,
} from '../../src/testing/history.ts'
import { subscriptionsOf, withDueTimes } from '../../src/testing/settlement.ts'
import { type Ledger, ledgerName } from '../../src/testing/witness.ts'
import { tortureApp } from './app.ts'
import { type Ends, type JournalLine, type RecordPlace, readJournal } from './journal.ts'
import { rowsOf } from './journaled-engine.ts'

/** What is known of a round besides what is on the disk. */
export interface KilledRound {
  /** The URL of the log, on which nobody works any more. */
  readonly log: string
  /** The journals of its processes. */
  readonly journals: readonly string[]
  /** What the parent was acknowledged; without a place where it only knows that the event is durable. */
  readonly acknowledged: readonly (Partial<RecordPlace> & { readonly id: string })[]
  /** The ends of all places when nothing was left to do. */
  readonly settled: Readonly<Record<string, Offset>>
}

/** Puts together what the processes of a round wrote down and what the disk has, as the invariants judge it. */
export async function readKilledHistory(round: KilledRound): Promise<History> {
  const disk = await readDisk(round.log)
  const merged = new MergedJournals(disk.records)
  // What one process wrote is in order already, and stays so.
  const lines = round.journals.flatMap(readJournal).sort((one, other) => one.atNs - other.atNs)
  for (const line of lines) merged.add(line)
  merged.finish()
  const log = merged.log.filter((record) => !isLateTick(record, round.settled))
  const acknowledged = round.acknowledged.map((event) => acknowledgedEvent(event, log, merged.handledAt))
  return {
    subscriptions: subscriptionsOf(tortureApp),
    acknowledged: withDueTimes(acknowledged, log),
    attempts: merged.attempts,
    log,
    deadLetters: deadLettersOf(log),
    parked: disk.parked,
    ledgers: disk.ledgers,
    cursors: merged.cursors,
    results: merged.results,
    endedMs: Number.MAX_SAFE_INTEGER,
  }
}

/** The schedule goes on firing until the process is stopped; what fired after all was done may not have been handled. */
function isLateTick({ topic, partition, offset }: LoggedRecord, settled: Readonly<Record<string, Offset>>) {
  if (topic !== internalTopics(tortureApp.name).ticks) return false
  return offset >= (settled[`${topic}/${partition}`] ?? 0)
}

function acknowledgedEvent(
  event: Partial<RecordPlace> & { readonly id: string },
  log: readonly LoggedRecord[],
  handledAt: ReadonlyMap<string, number>,
): Omit<AcknowledgedEvent, 'dueMs'> {
  const found = log.find((record) => record.event.id === event.id && !isInternalTopic(record.topic))
  const { topic = found?.topic, partition = found?.partition, offset = found?.offset } = event
  const at = handledAt.get(event.id)
  return {
    id: event.id,
    source: 'torture',
    topic: topic ?? 'nowhere',
    partition: partition ?? -1,
    offset: offset ?? -1,
    ...(at === undefined ? {} : { handledAt: at }),
  }
}

/** What the log has in the end. */
interface Disk {
  /** The records of each place, by `topic/partition`. */
  readonly records: ReadonlyMap<string, readonly Omit<LoggedRecord, 'step'>[]>
  readonly parked: readonly ParkedKey[]
  readonly ledgers: readonly KeyLedger[]
}

const everything = { records: 1_000_000, bytes: Number.MAX_SAFE_INTEGER }

async function readDisk(log: string): Promise<Disk> {
  const engine = await openEngine(log, { runtime: realRuntime() })
  try {
    const records = new Map<string, readonly Omit<LoggedRecord, 'step'>[]>()
    for (const { name: topic } of await engine.listTopics()) {
      for (let partition = 0; partition < engine.partitions; partition += 1) {
        const batch = await engine.read({ topic, partition }, 0, everything)
        records.set(
          `${topic}/${partition}`,
          batch.records.map(({ offset, value }) => ({ topic, partition, offset, event: decodeEvent(value) })),
        )
      }
    }
    const parked: ParkedKey[] = []
    const ledgers: KeyLedger[] = []
    for (const claim of await claimsOf(engine)) {
      for (const [key, text] of await rowsOf(claim, 'parked/')) parked.push(parkedKey(key, text))
      for (const [key, text] of await rowsOf(claim, 'state/')) ledgers.push(...ledger(key, text))
    }
    return { records, parked, ledgers }
  } finally {
    await engine.close()
  }
}

async function claimsOf(engine: LogEngine): Promise<readonly Claim[]> {
  const groups = new Set(tortureApp.handlers.map(({ options }) => options.group ?? tortureApp.name))
  return (await Promise.all([...groups].map((group) => allClaimsOf(engine, group)))).flat()
}

/** Waits for what processes have left behind that were killed a moment ago. */
function allClaimsOf(engine: LogEngine, group: string): Promise<readonly Claim[]> {
  const claims = new Map<number, Claim>()
  return new Promise((resolve, reject) => {
    const take = (claim: Claim) => {
      claims.set(claim.partition, claim)
      if (claims.size === engine.partitions) resolve([...claims.values()])
    }
    engine.join(group, { id: 'judge' }, take).catch(reject)
  })
}

function parkedKey(row: string, text: string): ParkedKey {
  const [, handler = '', topic = '', ...rest] = row.split('/')
  const { first, last, dueMs } = JSON.parse(text) as ParkedEntry
  return { handler, topic, key: rest.join('/'), first, last, dueMs: dueMs ?? undefined }
}

function ledger(row: string, text: string): readonly KeyLedger[] {
  const [, handler = '', cell, ...rest] = row.split('/')
  const { last, count } = JSON.parse(text) as Ledger
  return cell === ledgerName ? [{ handler, key: rest.join('/'), last, count }] : []
}

/** The journals of processes as one order of all that happened. */
class MergedJournals {
  readonly log: LoggedRecord[] = []
  readonly attempts: Attempt[] = []
  readonly cursors: CursorSample[] = []
  readonly results: ToldResult[] = []
  /** How many records there were when waiting for the handlers of an event ended. */
  readonly handledAt = new Map<string, number>()
  readonly #records: Disk['records']
  /** How many records of each place are in the log so far. */
  readonly #placed = new Map<string, number>()
  readonly #byNonce = new Map<string, { -readonly [Name in keyof Attempt]: Attempt[Name] }>()
  /** What is known once the order of all records is. */
  readonly #told: (() => void)[] = []
  #step = 0
  #order = 0

  constructor(records: Disk['records']) {
    this.#records = records
  }

  /** What no process was acknowledged comes last. */
  finish(): void {
    this.#step += 1
    for (const place of this.#records.keys()) this.#placeBelow(place, Number.POSITIVE_INFINITY)
    for (const tell of this.#told) tell()
  }

  add(line: JournalLine): void {
    if ('visible' in line) {
      // What was durable by then, whether those who wrote it knew or not.
      this.#step += 1
      for (const [place, end] of Object.entries(line.visible)) this.#placeBelow(place, end)
    } else if ('appended' in line) {
      this.#step += 1
      for (const { topic, partition, offset } of line.appended) {
        this.#placeBelow(`${topic}/${partition}`, offset + 1)
      }
    } else if ('claimed' in line) {
      this.cursors.push(...this.#samples(line.claimed.partition, line.claimed.rows))
    } else if ('handled' in line) {
      this.#told.push(() => this.handledAt.set(line.handled, this.#behind(line.ends)))
    } else if ('told' in line) {
      this.#told.push(() => this.results.push({ ...line.told, at: this.#behind(line.ends) }))
    } else this.#addAttempt(line)
  }

  #addAttempt(line: Extract<JournalLine, { begun: unknown } | { once: unknown } | { ended: unknown }>): void {
    this.#order += 1
    if ('begun' in line) {
      const attempt = { ...line.begun, beganAt: this.#order, emits: [], once: [] }
      this.#byNonce.set(attempt.nonce, attempt)
      this.attempts.push(attempt)
    } else if ('once' in line) {
      this.#byNonce.get(line.once.nonce)?.once.push(line.once.observation)
    } else {
      const { nonce, outcome, emits, decision } = line.ended
      const attempt = this.#byNonce.get(nonce)
      if (attempt === undefined) return
      attempt.endedAt = this.#order
      attempt.outcome = outcome
      if (decision !== undefined) attempt.decision = decision
      attempt.emits.push(...emits)
    }
  }

  /** An index of the log that is behind all that there was when places ended so. */
  #behind(ends: Ends): number {
    return (
      1 +
      this.log.findLastIndex(({ topic, partition, offset }) => offset < (ends[`${topic}/${partition}`] ?? 0))
    )
  }

  #placeBelow(place: string, end: Offset): void {
    const records = this.#records.get(place) ?? []
    let next = this.#placed.get(place) ?? 0
    for (let record = records[next]; record !== undefined && record.offset < end; record = records[next]) {
      this.log.push({ ...record, step: this.#step })
      next += 1
    }
    this.#placed.set(place, next)
  }

  #samples(partition: number, rows: readonly (readonly [string, string])[]): CursorSample[] {
    return rows.flatMap(([key, text]) => {
      const [kind, handler = '', topic = ''] = key.split('/')
      if (kind !== 'subscription') return []
      const { cursor, done } = JSON.parse(text) as CursorDocument
      return [{ handler, topic, partition, cursor, done, held: held(rows, handler, topic), step: this.#step }]
    })
  }
}

function held(rows: readonly (readonly [string, string])[], handler: string, topic: string): HeldKey[] {
  const prefix = `parked/${handler}/${topic}/`
  return rows.flatMap(([key, text]) => {
    if (!key.startsWith(prefix)) return []
    const { first, last } = JSON.parse(text) as ParkedEntry
    return [{ key: key.slice(prefix.length), first, last }]
  })
}
