import { MillraceError } from '../../core/errors.ts'
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

/** A fingerprint that was asked for before its transaction, for the topic that an entry's had then. */
interface Foreseen {
  readonly topicId: number
  readonly fingerprint: Fingerprint
}

/** A call of `append` as a step of a transaction: all of its entries, or none. */
export class AppendStep {
  readonly sizeBytes: number
  readonly #entries: readonly Entry[]
  readonly #context: AppendContext
  readonly #signal: AbortSignal | undefined
  readonly #foreseen: Foreseen | undefined

  /** Throws `COMMIT_TOO_LARGE`. */
  constructor(entries: readonly Entry[], context: AppendContext, signal: AbortSignal | undefined) {
    this.sizeBytes = checkSize(sizeOf(entries))
    this.#entries = entries
    this.#context = context
    this.#signal = signal
    this.#foreseen = foresee(entries, context)
  }

  stage(writes: Writes): Appended[] {
    this.#signal?.throwIfAborted()
    return stageAppends(this.#entries, this.#context, writes, this.#foreseen)
  }
}

function foresee(
  [entry, second]: readonly Entry[],
  { catalog, identities }: AppendContext,
): Foreseen | undefined {
  if (entry?.deduplicationId === undefined || second !== undefined) return undefined
  const topicId = catalog.topicIdForStep(entry.topic)
  if (topicId === undefined) return undefined
  return { topicId, fingerprint: identities.expect(topicId, entry.deduplicationId) }
}

/** Puts the entries of one call into a transaction: all of them, or none when it throws. */
export function stageAppends(
  entries: readonly Entry[],
  context: AppendContext,
  writes: Writes,
  foreseen?: Foreseen,
): Appended[] {
  const [entry] = entries
  if (entry !== undefined && entries.length === 1) {
    const plan = planAppend(entry, context, foreseen)
    if (plan.appended !== undefined) return [plan.appended]
    context.checkRoom(sizeOf(entries), writes)
    return [stageNew(plan, context, writes)]
  }
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
  return { topic, partition, offset, duplicate: false }
}

/** What becomes of an entry by what was there before its call. Changes nothing. */
function planAppend(entry: Entry, { catalog, identities }: AppendContext, foreseen?: Foreseen): Plan {
  const place = catalog.placeForStep(entry)
  const id = entry.deduplicationId
  if (id === undefined) return { entry, place }
  const { topic, topicId } = place
  const fingerprint =
    foreseen?.topicId === topicId ? foreseen.fingerprint : identities.fingerprint(topicId, id)
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
