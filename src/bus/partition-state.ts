import { MillraceError } from '../core/errors.ts'
import type { Appended, Claim, Entry, KeyValue, Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { type KnownValue, KnownValues, type Stored } from './known-values.ts'
import { endOfPrefix } from './state-layout.ts'
import { Wake } from './wake.ts'

export type { Stored } from './known-values.ts'

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

/** A step that waits for its commit, or several that do nothing but mark records as done. */
interface Queued {
  readonly step: Step
  /** Whose records at `offsets` are done with it, beside the marks of the step itself. */
  readonly tracker: CursorTracker | undefined
  readonly offsets: Offset[]
  /** Of the last step in it. */
  sequence: number
}

/** Keys that are read together. */
interface Reading {
  readonly keys: string[]
  readonly values: Promise<readonly (Uint8Array | undefined)[]>
}

const none: never[] = []
const decoder = new TextDecoder()

/** How many bytes of durable cells a state keeps in memory unless told otherwise. */
const defaultCellBytes = 1024 * 1024

/**
 * The state of one claim with the steps on top that are not durable yet. Steps are committed in the order in which they
 * were staged, as many together as there are; one commit is under way at a time. After one has failed nothing is
 * committed any more.
 */
export class PartitionState {
  readonly #claim: Claim
  readonly #parts: CommitParts
  readonly #queue: Queued[] = []
  /** Reads see what is staged before it is durable, which is safe because commits keep their order. */
  readonly #known: KnownValues
  /** What is being read, by its key; what is written meanwhile is not kept from it. */
  readonly #reads = new Map<string, Promise<string | undefined>>()
  #reading: Reading | undefined
  /** Whether anything of `once` may be there: mostly nothing is, and then nobody need look for it. */
  #mayRemember = true
  readonly #wake = new Wake()
  #staged = 0
  #durable = 0
  #failure: MillraceError | undefined
  #waiters: { readonly sequence: number; readonly settle: (error?: unknown) => void }[] = []

  /** `cellBytes`: how much of what handlers keep stays in memory once it is durable. */
  constructor(claim: Claim, parts: CommitParts, cellBytes = defaultCellBytes) {
    this.#claim = claim
    this.#parts = parts
    this.#known = new KnownValues(cellBytes)
  }

  /** Stages a step. Later reads see it at once; {@link flush} waits until it is durable. */
  stage(step: Step): void {
    this.#stage(step, undefined, [])
  }

  /** Stages what an attempt has left behind together with its record's being done. */
  stageDone(tracker: CursorTracker, offset: Offset, effects: Step): void {
    if (this.#failure !== undefined) return
    const last = this.#queue.at(-1)
    // Most of what there is are records that are done and leave nothing behind: they share a step.
    if (!isEmpty(effects) || last?.tracker !== tracker || !isEmpty(last.step)) {
      this.#stage(effects, tracker, [offset])
      return
    }
    this.#staged += 1
    last.sequence = this.#staged
    last.offsets.push(offset)
  }

  #stage(step: Step, tracker: CursorTracker | undefined, offsets: Offset[]): void {
    if (this.#failure !== undefined) return
    this.#staged += 1
    const sequence = this.#staged
    for (const [key, value] of step.puts ?? none) this.#write(key, value, sequence)
    for (const key of step.deletes ?? none) this.#write(key, undefined, sequence)
    this.#queue.push({ step, tracker, offsets, sequence })
    this.#wake.notify()
  }

  #write(key: string, value: Stored | undefined, sequence: number): void {
    if (!this.#mayRemember && isOnce(key)) this.#mayRemember = true
    this.#known.write(key, value, sequence)
    if (this.#reads.size > 0) this.#reads.delete(key)
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

  /** Whether results of `once` may be remembered here. */
  get mayRemember(): boolean {
    return this.#mayRemember
  }

  /** Looks whether results of `once` are remembered here. To be called before anything runs. */
  async lookForRemembered(): Promise<void> {
    const [any] = await this.range(allOnce, endOfPrefix(allOnce), 1)
    if (any === undefined && !this.#queue.some(({ step }) => step.puts?.some(([key]) => isOnce(key))))
      this.#mayRemember = false
  }

  /** What a key is known to have without reading it, with every staged write. */
  known(key: string): KnownValue | undefined {
    return this.#known.get(key)
  }

  /** The JSON text of a key, with every staged write. Keys that are asked for in one turn are read together. */
  async get(key: string): Promise<string | undefined> {
    const known = this.#known.get(key)
    if (known !== undefined) return known.value === undefined ? undefined : textOf(known.value)
    return this.#reads.get(key) ?? this.#read(key)
  }

  async #read(key: string): Promise<string | undefined> {
    this.#reading ??= this.#gather()
    const { keys, values } = this.#reading
    const index = keys.push(key) - 1
    const read = values.then((texts) =>
      texts[index] === undefined ? undefined : decoder.decode(texts[index]),
    )
    this.#reads.set(key, read)
    try {
      const text = await read
      if (this.#reads.get(key) === read) this.#known.remember(key, text)
      return text
    } finally {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
  }

  #gather(): Reading {
    const keys: string[] = []
    const values = Promise.resolve().then(() => {
      this.#reading = undefined
      return this.#claim.get(keys)
    })
    return { keys, values }
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
    this.#known.clear()
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
      this.#settleUpTo(sequence, puts.keys())
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
    for (const { step, tracker: marking, offsets, sequence: next } of this.#queue) {
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
      if (marking === undefined) continue
      for (let index = 0; index < offsets.length; index += 1) marking.mark(offsets[index] as Offset)
      marked.add(marking)
    }
    this.#queue.splice(0, taken)
    return { puts, appends, sequence, marked }
  }

  #settleUpTo(sequence: number, keys: Iterable<string>): void {
    this.#known.settle(keys, sequence)
    if (this.#waiters.length === 0) return
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

const allOnce = 'once/'

function isOnce(key: string): boolean {
  return key.startsWith(allOnce)
}

function isEmpty({ puts, deletes, appends, done, moved }: Step): boolean {
  return !puts?.length && !deletes?.length && !appends?.length && !done?.length && !moved?.length
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
    else puts.push({ key, value: Buffer.from(textOf(value)) })
  }
  return { puts, deletes }
}
