import { MillraceError } from '../../core/errors.ts'
import { plainObjects } from '../../core/plain-object.ts'
import type { Fingerprint } from '../../log/deduplication-window.ts'
import type { Appended, Entry } from '../../log/port.ts'
import { recordBytes } from './block.ts'
import type { Catalog } from './catalog.ts'
import { type Identities, isSame } from './identities.ts'
import type { StoredPlace } from './stored-place.ts'
import type { Writes } from './writes.ts'

/** The most bytes that one call may bring into a transaction. */
export const maxCallBytes = 64 * 1024 * 1024

/** Throws `COMMIT_TOO_LARGE` when a call brings too much; gives its bytes. */
export function checkSize(bytes: number): number {
  if (bytes <= maxCallBytes) return bytes
  throw new MillraceError(
    'COMMIT_TOO_LARGE',
    `One step has at most ${maxCallBytes} bytes; this one has ${bytes}.`,
    { fix: 'Append or commit less at a time.', facts: { bytes, maxBytes: maxCallBytes } },
  )
}

/** What entries take in the log, approximately. */
export function sizeOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const { value } of entries) bytes += recordBytes(value.length)
  return bytes
}

/** What becomes of one entry: it is the same as a record, or as an earlier entry of the call, or it is new. */
interface Plan {
  readonly entry: Entry
  readonly place: StoredPlace
  readonly fingerprint?: Fingerprint | undefined
  readonly appended?: Appended | undefined
  readonly sameAs?: number | undefined
}

/** What appending works with. */
export interface AppendContext {
  readonly catalog: Catalog
  readonly identities: Identities
  /** Throws `LOG_FULL` unless there is room for this many bytes more. */
  checkRoom(bytes: number, writes: Writes): void
}

/** A call of `append` as a step of a transaction: all of its entries, or none. */
export class AppendStep {
  readonly sizeBytes: number
  // Of one entry, which most have, the list is not kept: V8 would come to take lists of one for such as live long.
  readonly #entry: Entry | undefined
  readonly #entries: readonly Entry[] | undefined
  readonly #context: AppendContext
  readonly #signal: AbortSignal | undefined
  /** Of the only entry, in the topic that had its name when it came. */
  readonly #fingerprint: Fingerprint | undefined
  readonly #topicId: number | undefined

  /** Throws `COMMIT_TOO_LARGE`. */
  constructor(entries: readonly Entry[], context: AppendContext, signal: AbortSignal | undefined) {
    this.sizeBytes = checkSize(sizeOf(entries))
    const [entry] = entries
    this.#entry = entries.length === 1 ? entry : undefined
    this.#entries = entries.length === 1 ? undefined : entries
    this.#context = context
    this.#signal = signal
    const id = this.#entry?.deduplicationId
    const topicId = id === undefined ? undefined : context.catalog.topicIdForStep(entry?.topic ?? '')
    this.#topicId = topicId
    if (id === undefined || topicId === undefined) return
    this.#fingerprint = context.identities.expect(topicId, id)
  }

  stage(writes: Writes): Appended | readonly Appended[] {
    this.#signal?.throwIfAborted()
    if (this.#entry === undefined) return stageAppends(this.#entries ?? [], this.#context, writes)
    const foreseen = { topicId: this.#topicId, fingerprint: this.#fingerprint }
    return stageOne(this.#entry, this.#context, writes, foreseen)
  }

  answer(staged: Appended | readonly Appended[]): readonly Appended[] {
    return Array.isArray(staged) ? staged : [staged as Appended]
  }
}

/** Where an entry that is new was put. */
const AppendedAt = plainObjects<Appended, [topic: string, partition: number, offset: number]>(
  function (topic, partition, offset) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.duplicate = false
  },
)

/** A fingerprint that was asked for before its transaction, for the topic that an entry's had then. */
interface Foreseen {
  readonly topicId: number | undefined
  readonly fingerprint: Fingerprint | undefined
}

function stageOne(entry: Entry, context: AppendContext, writes: Writes, foreseen?: Foreseen): Appended {
  const plan = planAppend(entry, context, foreseen)
  if (plan.appended !== undefined) return plan.appended
  context.checkRoom(recordBytes(entry.value.length), writes)
  return stageNew(plan, context, writes)
}

/** Puts the entries of one call into a transaction: all of them, or none when it throws. */
export function stageAppends(entries: readonly Entry[], context: AppendContext, writes: Writes): Appended[] {
  const [entry] = entries
  if (entry !== undefined && entries.length === 1) return [stageOne(entry, context, writes)]
  const plans = planAppends(entries, context)
  const added = plans.filter(({ appended, sameAs }) => appended === undefined && sameAs === undefined)
  if (added.length > 0) context.checkRoom(sizeOf(added.map((plan) => plan.entry)), writes)
  const answers: Appended[] = []
  for (const plan of plans) {
    const earlier = plan.sameAs === undefined ? undefined : answers[plan.sameAs]
    if (plan.appended !== undefined) answers.push(plan.appended)
    else if (earlier !== undefined) answers.push({ ...earlier, duplicate: true })
    else answers.push(stageNew(plan, context, writes))
  }
  return answers
}

function stageNew({ entry, place, fingerprint }: Plan, context: AppendContext, writes: Writes): Appended {
  const offset = place.stage(entry.value, entry.timeMs, writes)
  const { topic, topicId, partition } = place
  if (fingerprint !== undefined) {
    context.identities.stage(fingerprint, { topicId, partition, offset }, writes)
  }
  return new AppendedAt(topic, partition, offset)
}

/** What becomes of an entry by what was there before its call. Changes nothing. */
function planAppend(entry: Entry, { catalog, identities }: AppendContext, foreseen?: Foreseen): Plan {
  const place = catalog.placeForStep(entry)
  const id = entry.deduplicationId
  if (id === undefined) return { entry, place }
  const { topic, topicId } = place
  const known = foreseen?.topicId === topicId ? foreseen.fingerprint : undefined
  const fingerprint = known ?? identities.fingerprint(topicId, id)
  const seen = identities.find(entry, topicId, fingerprint)
  if (seen === undefined) return { entry, place, fingerprint }
  const { partition, offset } = seen
  return { entry, place, appended: { topic, partition, offset, duplicate: true } }
}

/** Changes nothing, so that the whole call can be refused. */
function planAppends(entries: readonly Entry[], context: AppendContext): Plan[] {
  const firsts = new Map<string, number>()
  return entries.map((entry, index) => {
    const plan = planAppend(entry, context)
    if (plan.fingerprint === undefined) return plan
    const name = `${plan.place.topicId}/${entry.deduplicationId}`
    const sameAs = firsts.get(name)
    const first = sameAs === undefined ? undefined : entries[sameAs]
    if (first !== undefined && isSame(first.value, entry)) return { entry, place: plan.place, sameAs }
    firsts.set(name, index)
    return plan
  })
}
