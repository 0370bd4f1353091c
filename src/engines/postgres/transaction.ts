import type { Appended } from '../../log/port.ts'
import { columns } from './columns.ts'
import type { Connection } from './connection.ts'
import { boundReached } from './failures.ts'
import { bringsIds, type Identities } from './identities.ts'
import type { MovingEntries } from './outbox/moving-entries.ts'
import { type Ground, Plan } from './plan.ts'
import { PlannedPlace } from './planned-place.ts'
import type { Receipt } from './receipt.ts'
import type { CommitPart, Step } from './step.ts'
import { write } from './write.ts'

/** What the transactions of a writer have in common. */
export interface TransactionContext {
  readonly where: string
  readonly schema: string
  readonly writerId: string
  readonly channel: string
  readonly identities: Identities
  readonly maxBytes: number
  now(): number
}

/** A transaction that only has to be written. */
export interface Prepared {
  /** The steps that are part of it, with what they are to be told once it is written. */
  readonly parts: readonly { readonly step: Step; readonly appended: readonly Appended[] }[]
  /** Where each place ends that has grown, once it is written. */
  readonly grown: readonly PlannedPlace[]
  /** How many ids are remembered by it. */
  readonly ids: number
  /** Writes and commits; undefined where it did neither, and the steps must be prepared with what they are about locked. */
  commit(): Promise<Receipt | undefined>
  /** It holds. */
  committed(receipt: Receipt): void
}

/** What one transaction is to do. */
export interface Work {
  readonly steps: readonly Step[]
  /** Entries of the outbox, whose taking has begun the transaction. */
  readonly moving?: MovingEntries | undefined
}

/**
 * Makes a transaction of steps with nothing locked: the server locks what they are about when it writes, and looks whether it is as
 * this process takes it to be. Undefined where that is known to be otherwise, or a step may have to be refused.
 */
export async function prepareAhead(
  connection: Connection,
  steps: readonly Step[],
  batch: number,
  context: TransactionContext,
): Promise<Prepared | undefined> {
  const { identities, maxBytes } = context
  const nowMs = context.now()
  if (steps.some(bringsIds)) await identities.catchUp(connection, nowMs)
  const ids = identities.broughtBy(steps)
  if (identities.mayKnow(ids)) return undefined
  const places = new Map(
    [...wantedPlaces(steps)].map(([topic, partitions]) => [
      topic,
      new Map([...partitions].map((each) => [each, new PlannedPlace(topic, each)])),
    ]),
  )
  const plan = new Plan({ places, ids, checkRoom: () => undefined })
  const parts: { step: Step; appended: readonly Appended[] }[] = []
  try {
    for (const step of steps) {
      step.signal?.throwIfAborted()
      step.commit?.checkHeld()
      parts.push({ step, appended: plan.add(step.entries, step.commit) })
    }
  } catch {
    return undefined
  }
  const mostBytes = Number.isFinite(maxBytes) ? maxBytes : undefined
  const commits = commitsOf(parts)
  const written = { ...context, isLocked: false, plan, commits, nowMs, batch, mostBytes }
  const { known: knownIds } = identities
  return {
    parts,
    ...preparedOf(plan, nowMs, context),
    commit: () => write(connection, { ...written, knownIds }),
  }
}

function preparedOf(plan: Plan, nowMs: number, { identities }: TransactionContext) {
  return {
    grown: plan.places,
    ids: plan.ids.length,
    committed: (receipt: Receipt) => {
      plan.written(receipt)
      identities.added(plan.ids, receipt.idsBefore, nowMs)
    },
  }
}

/**
 * Locks what the steps are about, in an order that is the same in every process: claims, the log where ids are remembered, places.
 * Refuses the steps that must be refused, each by itself, and gives the rest as a transaction that only has to be written; undefined
 * where none is left.
 */
export async function prepare(
  connection: Connection,
  work: Work,
  batch: number,
  context: TransactionContext,
): Promise<Prepared | undefined> {
  const { moving } = work
  const { identities } = context
  const steps = moving === undefined ? work.steps : [...moving.steps, ...work.steps]
  const remembers = steps.some(bringsIds)
  const nowMs = context.now()
  if (remembers) await identities.catchUp(connection, nowMs)
  const answers = Promise.all([
    moving === undefined ? connection.query('begin') : undefined,
    lockClaims(connection, steps),
    remembers ? identities.lock(connection, nowMs) : 0,
    lockPlaces(connection, steps),
    readUsedBytes(connection, context),
  ])
  // While others may hold what is to be locked.
  const ids = identities.broughtBy(steps)
  const [, held, knownIds, { places, topics }, usedBytes] = await answers
  if (remembers) await identities.see(connection, ids, topics)
  const plan = new Plan({ places, ids, checkRoom: roomChecker(usedBytes, context) })
  const parts: { step: Step; appended: readonly Appended[] }[] = []
  for (const step of steps) {
    try {
      checkStep(step, held)
      parts.push({ step, appended: plan.add(step.entries, step.commit) })
    } catch (error) {
      step.reject(error)
    }
  }
  if (parts.length === 0 && moving?.changes !== true) {
    await connection.query('rollback')
    return undefined
  }
  const commits = commitsOf(parts)
  const written = { ...context, isLocked: true, plan, commits, knownIds, nowMs, batch }
  return {
    parts,
    ...preparedOf(plan, nowMs, context),
    commit: async () => {
      // The commit is on its way with what it commits: where that fails, it has nothing left to commit.
      const [receipt, , { command }] = await Promise.all([
        write(connection, written),
        moving?.finish(connection),
        connection.query('commit'),
      ])
      if (command !== 'COMMIT') throw new Error(`the commit ended in ${command}`)
      return receipt
    },
  }
}

function commitsOf(parts: readonly { readonly step: Step }[]): CommitPart[] {
  return parts.flatMap(({ step: { commit } }) => (commit === undefined ? [] : [commit]))
}

function roomChecker(usedBytes: number, { where, maxBytes }: TransactionContext): Ground['checkRoom'] {
  return (added, whose) => {
    // Handlers that drain a full log must be able to commit, so theirs is a quarter more.
    if (usedBytes + added > (whose === 'handlers' ? maxBytes * 1.25 : maxBytes)) {
      throw boundReached(where, maxBytes)
    }
  }
}

function checkStep({ signal, commit }: Step, held: ReadonlyMap<string, number>): void {
  signal?.throwIfAborted()
  if (commit === undefined) return
  commit.checkHeld()
  if (held.get(`${commit.groupId}/${commit.partition}`) !== commit.epoch) throw commit.notHeld()
}

async function lockClaims(connection: Connection, steps: readonly Step[]): Promise<Map<string, number>> {
  const wanted = new Map<string, readonly [number, number]>()
  for (const { commit } of steps) {
    if (commit !== undefined) {
      wanted.set(`${commit.groupId}/${commit.partition}`, [commit.groupId, commit.partition])
    }
  }
  if (wanted.size === 0) return new Map()
  const rows = await connection.rows(
    `select c.group_id, c.partition, c.epoch
     from unnest($1::integer[], $2::integer[]) as w (group_id, partition)
     join claim c on c.group_id = w.group_id and c.partition = w.partition
     order by c.group_id, c.partition for share of c`,
    columns([...wanted.values()], 2),
    'lock-claims',
  )
  return new Map(rows.map((row) => [`${row.group_id}/${row.partition}`, Number(row.epoch)]))
}

/** The partitions of each topic that steps are about. */
function wantedPlaces(steps: readonly Step[]): Map<string, Set<number>> {
  const wanted = new Map<string, Set<number>>()
  const want = (topic: string, partition: number) => {
    const ofTopic = wanted.get(topic)
    if (ofTopic === undefined) wanted.set(topic, new Set([partition]))
    else ofTopic.add(partition)
  }
  for (const { entries, commit } of steps) {
    for (const { topic, partition } of entries) want(topic, partition)
    // Whoever trims a place holds it too, so none passes a need that is being told.
    if (commit !== undefined) for (const topic of Object.keys(commit.needs)) want(topic, commit.partition)
  }
  return wanted
}

interface LockedPlaces {
  readonly places: ReadonlyMap<string, ReadonlyMap<number, PlannedPlace>>
  readonly topics: ReadonlyMap<string, number>
}

async function lockPlaces(connection: Connection, steps: readonly Step[]): Promise<LockedPlaces> {
  const wanted = wantedPlaces(steps)
  const places = new Map<string, Map<number, PlannedPlace>>()
  const topics = new Map<string, number>()
  if (wanted.size === 0) return { places, topics }
  const named = [...wanted].flatMap(([topic, partitions]) => [...partitions].map((each) => [topic, each]))
  const rows = await connection.rows(
    `select t.name, p.topic_id, p.partition
     from unnest($1::text[], $2::integer[]) as w (name, partition)
     join topic t on t.name = w.name
     join place p on p.topic_id = t.id and p.partition = w.partition
     order by p.topic_id, p.partition for no key update of p`,
    columns(named, 2),
    'lock-places',
  )
  for (const row of rows) {
    const topic = String(row.name)
    const partition = Number(row.partition)
    const ofTopic = places.get(topic) ?? new Map<number, PlannedPlace>()
    places.set(topic, ofTopic.set(partition, new PlannedPlace(topic, partition)))
    topics.set(topic, Number(row.topic_id))
  }
  return { places, topics }
}

async function readUsedBytes(connection: Connection, { maxBytes }: TransactionContext): Promise<number> {
  if (!Number.isFinite(maxBytes)) return 0
  const text = 'select coalesce(sum(appended_bytes - trimmed_bytes), 0)::double precision as bytes from place'
  const [row] = await connection.rows(text, [], 'used-bytes')
  return Number(row?.bytes ?? 0)
}
