import { MillraceError } from '../core/errors.ts'
import type { Appended, Claim, Entry, KeyValue, Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { Wake } from './wake.ts'

/** A value of the state: JSON text, or a value that is not changed any more and becomes JSON text when it is committed. */
export type Stored = string | object

/** The mark that a record is done, for one subscription. */
export interface DoneMark {
  readonly tracker: CursorTracker
  readonly offset: Offset
}

/** What is committed together or not at all: the one step that everything is built from. */
export interface Step {
  readonly puts?: readonly (readonly [key: string, value: Stored])[]
  readonly deletes?: readonly string[]
  readonly appends?: readonly Entry[]
  readonly done?: readonly DoneMark[]
  /** Cursors that moved with nothing to be done, to be kept with this step. */
  readonly moved?: readonly CursorTracker[]
}

/** Completes a commit when its steps have been taken: the cursors that their marks have moved. */
export interface CommitParts {
  /**
   * What every commit carries beside its steps. Called after the marks of the taken steps are set; `all` says whether these
   * are all steps that are staged.
   */
  parts(
    marked: ReadonlySet<CursorTracker>,
    all: boolean,
  ): {
    readonly puts: readonly (readonly [string, Stored])[]
    readonly needs: Readonly<Record<string, Offset>>
  }
  /** A commit was acknowledged. */
  committed(
    change: { readonly keys: Iterable<string>; readonly entries: readonly Entry[] },
    appended: readonly Appended[],
  ): void
  /** A commit failed; the claim is of no use any more. */
  failed(error: unknown): void
}

/** The most bytes of one commit; steps beyond it wait for the next one. */
export const maxCommitBytes = 16 * 1024 * 1024

interface Queued {
  readonly step: Step
  readonly sequence: number
}

const none: never[] = []
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The state of one claim with the steps on top that are not durable yet. Steps are committed in the order in which they
 * were staged, as many together as there are; one commit is under way at a time. After one has failed nothing is
 * committed any more.
 */
export class PartitionState {
  readonly #claim: Claim
  readonly #parts: CommitParts
  readonly #queue: Queued[] = []
  /** What staged steps have written: reads see it before it is durable, which is safe because commits keep their order. */
  readonly #overlay = new Map<string, { readonly value: Stored | undefined; readonly sequence: number }>()
  readonly #wake = new Wake()
  #staged = 0
  #durable = 0
  #failure: MillraceError | undefined
  #waiters: { readonly sequence: number; readonly settle: (error?: unknown) => void }[] = []

  constructor(claim: Claim, parts: CommitParts) {
    this.#claim = claim
    this.#parts = parts
  }

  /** Stages a step. Later reads see it at once; {@link flush} waits until it is durable. */
  stage(step: Step): void {
    if (this.#failure !== undefined) return
    this.#staged += 1
    const sequence = this.#staged
    for (const [key, value] of step.puts ?? none) this.#overlay.set(key, { value, sequence })
    for (const key of step.deletes ?? none) this.#overlay.set(key, { value: undefined, sequence })
    this.#queue.push({ step, sequence })
    this.#wake.notify()
  }

  /** Whether everything that was staged is durable. */
  get isDurable(): boolean {
    return this.#durable >= this.#staged
  }

  /** Resolves once everything that is staged now is durable; rejects when it cannot become so. */
  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#durable >= this.#staged) return Promise.resolve()
    const sequence = this.#staged
    return new Promise((resolve, reject) => {
      this.#waiters.push({ sequence, settle: (error) => (error === undefined ? resolve() : reject(error)) })
    })
  }

  /** The JSON text of a key, with every staged write. */
  async get(key: string): Promise<string | undefined> {
    const staged = this.#overlay.get(key)
    if (staged !== undefined) return staged.value === undefined ? undefined : textOf(staged.value)
    const [value] = await this.#claim.get([key])
    return value === undefined ? undefined : decoder.decode(value)
  }

  /** The JSON texts of keys as they are durable. */
  async getCommitted(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const values = await this.#claim.get(keys)
    return values.map((value) => (value === undefined ? undefined : decoder.decode(value)))
  }

  /** Durable keys of a range with their JSON texts; staged writes are not in it. */
  async range(
    from: string,
    to: string,
    limit: number,
  ): Promise<readonly { readonly key: string; readonly text: string }[]> {
    const found = await this.#claim.range({ from, to, limit })
    return found.map(({ key, value }) => ({ key, text: decoder.decode(value) }))
  }

  /** Commits what is staged, and goes on doing so until {@link abandon} or a failure. */
  async run(): Promise<void> {
    while (this.#failure === undefined) {
      if (this.#queue.length === 0) await this.#wake.wait()
      else await this.#commitOnce()
    }
  }

  /** Gives up: nothing that is staged will be committed. */
  abandon(reason: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = new MillraceError(
      'NOT_OWNER',
      `Partition ${this.#claim.partition} is not owned any more.`,
      { cause: reason },
    )
    for (const { settle } of this.#waiters.splice(0)) settle(this.#failure)
    this.#wake.notify()
  }

  async #commitOnce(): Promise<void> {
    const { puts, appends, sequence, marked } = this.#take()
    const parts = this.#parts.parts(marked, this.#queue.length === 0)
    for (const [key, value] of parts.puts) puts.set(key, value)
    try {
      const appended = await this.#claim.commit({ ...changedKeys(puts), appends, needs: parts.needs })
      this.#durable = sequence
      this.#settleUpTo(sequence)
      this.#parts.committed({ keys: puts.keys(), entries: appends }, appended)
    } catch (error) {
      this.abandon(error)
      this.#parts.failed(error)
    }
  }

  /** Takes staged steps for one commit and sets their marks. At least one step goes, whatever its size. */
  #take() {
    const puts = new Map<string, Stored | undefined>()
    const appends: Entry[] = []
    const marked = new Set<CursorTracker>()
    let bytes = 0
    let sequence = this.#durable
    let taken = 0
    for (const { step, sequence: next } of this.#queue) {
      const size = sizeOf(step)
      if (taken > 0 && bytes + size > maxCommitBytes) break
      bytes += size
      taken += 1
      sequence = next
      for (const [key, value] of step.puts ?? none) puts.set(key, value)
      for (const key of step.deletes ?? none) puts.set(key, undefined)
      if (step.appends !== undefined) appends.push(...step.appends)
      for (const tracker of step.moved ?? none) marked.add(tracker)
      for (const { tracker, offset } of step.done ?? none) {
        tracker.mark(offset)
        marked.add(tracker)
      }
    }
    this.#queue.splice(0, taken)
    return { puts, appends, sequence, marked }
  }

  #settleUpTo(sequence: number): void {
    for (const [key, written] of this.#overlay) {
      if (written.sequence <= sequence) this.#overlay.delete(key)
    }
    const settled = this.#waiters.filter((waiter) => waiter.sequence <= sequence)
    this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > sequence)
    for (const { settle } of settled) settle()
  }
}

/** The bytes that a step adds to a commit, approximately. */
export function sizeOf(step: Step): number {
  let bytes = 0
  for (const [key, value] of step.puts ?? none)
    bytes += key.length + (typeof value === 'string' ? value.length : 256)
  for (const { value } of step.appends ?? none) bytes += value.length
  return bytes
}

function textOf(value: Stored): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function changedKeys(written: ReadonlyMap<string, Stored | undefined>): {
  puts: KeyValue[]
  deletes: string[]
} {
  const puts: KeyValue[] = []
  const deletes: string[] = []
  for (const [key, value] of written) {
    if (value === undefined) deletes.push(key)
    else puts.push({ key, value: encoder.encode(textOf(value)) })
  }
  return { puts, deletes }
}
