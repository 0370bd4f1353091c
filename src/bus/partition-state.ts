import { MillraceError } from '../core/errors.ts'
import type { Appended, Claim, Entry, KeyValue, Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { type KeptValue, KnownValues, type Stored } from './known-values.ts'
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
  /** `kept`: what was known of the key beforehand, where that is at hand. */
  readonly puts?: readonly (readonly [key: string, value: Stored, kept?: KeptValue | undefined])[]
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

/** What steps that were staged one after the other add up to, and become one commit. */
class Gathered {
  readonly written = new Map<string, Stored | undefined>()
  readonly appends: Entry[] = []
  /** The records that are done, by where they are followed. They are marked when this is taken. */
  readonly done = new Map<CursorTracker, Offset[]>()
  readonly moved = new Set<CursorTracker>()
  bytes = 0
  /** Of the last step in it. */
  sequence = 0
  #lastDone: { readonly tracker: CursorTracker; readonly offsets: Offset[] } | undefined

  add({ puts, deletes, appends, done, moved }: Step): void {
    if (puts !== undefined) for (const [key, value] of puts) this.written.set(key, value)
    if (deletes !== undefined) for (const key of deletes) this.written.set(key, undefined)
    if (appends !== undefined) for (const entry of appends) this.appends.push(entry)
    if (done !== undefined) for (const { tracker, offset } of done) this.addDone(tracker, offset)
    if (moved !== undefined) for (const tracker of moved) this.moved.add(tracker)
  }

  addDone(tracker: CursorTracker, offset: Offset): void {
    if (this.#lastDone?.tracker !== tracker) {
      const offsets = this.done.get(tracker) ?? []
      this.done.set(tracker, offsets)
      this.#lastDone = { tracker, offsets }
    }
    this.#lastDone.offsets.push(offset)
  }

  /** Marks what is done; gives the cursors that are to be kept. */
  mark(): ReadonlySet<CursorTracker> {
    const marked = this.moved
    for (const [tracker, offsets] of this.done) {
      for (let index = 0; index < offsets.length; index += 1) tracker.mark(offsets[index] as Offset)
      marked.add(tracker)
    }
    return marked
  }
}

/** A value on its way. */
class Put implements KeyValue {
  readonly key: string
  readonly value: Uint8Array

  constructor(key: string, value: Uint8Array) {
    this.key = key
    this.value = value
  }
}

/** Keys that are read together. */
interface Reading {
  readonly keys: string[]
  readonly values: Promise<readonly (Uint8Array | undefined)[]>
}

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
  /** What is staged, divided into commits. */
  readonly #queue: Gathered[] = []
  /** Reads see what is staged before it is durable, which is safe because commits keep their order. */
  readonly #known: KnownValues
  /** What is being read, by its key; what is written meanwhile is not kept from it. */
  readonly #reads = new Map<string, Promise<string | undefined>>()
  #reading: Reading | undefined
  /** Whether anything of `once` may be there: mostly nothing is, and then nobody need look for it. */
  #mayRemember = true
  /** Whether a dead letter may be open here, likewise. */
  #mayHaveDeadLetters = true
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
    if (this.#failure !== undefined) return
    this.#gather(step)
  }

  /** Stages what an attempt has left behind together with its record's being done. */
  stageDone(tracker: CursorTracker, offset: Offset, effects: Step): void {
    if (this.#failure !== undefined) return
    this.#gather(effects).addDone(tracker, offset)
  }

  #gather(step: Step): Gathered {
    this.#staged += 1
    const sequence = this.#staged
    if (step.puts !== undefined) {
      for (const [key, value, kept] of step.puts) this.#write(key, value, sequence, kept)
    }
    if (step.deletes !== undefined) for (const key of step.deletes) this.#write(key, undefined, sequence)
    const gathered = this.#gatheredFor(sizeOf(step))
    gathered.sequence = sequence
    gathered.add(step)
    return gathered
  }

  /** Where a step of this size goes: into the next commit that has room for it. One step goes into a commit whatever its size. */
  #gatheredFor(bytes: number): Gathered {
    const last = this.#queue.at(-1)
    if (last !== undefined && last.bytes + bytes <= maxCommitBytes) {
      last.bytes += bytes
      return last
    }
    const gathered = new Gathered()
    gathered.bytes = bytes
    this.#queue.push(gathered)
    this.#wake.notify()
    return gathered
  }

  #write(key: string, value: Stored | undefined, sequence: number, kept?: KeptValue): void {
    if (!this.#mayRemember && isOnce(key)) this.#mayRemember = true
    if (!this.#mayHaveDeadLetters && isDeadLetter(key)) this.#mayHaveDeadLetters = true
    this.#known.write(key, value, sequence, kept)
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

  /** Whether dead letters may be open here. */
  get mayHaveDeadLetters(): boolean {
    return this.#mayHaveDeadLetters
  }

  /** Looks for what mostly is not there: remembered results of `once`, open dead letters. To be called before anything runs. */
  async lookForRare(): Promise<void> {
    this.#mayRemember = await this.#mayHave(allOnce, isOnce)
    this.#mayHaveDeadLetters = await this.#mayHave(allDeadLetters, isDeadLetter)
  }

  async #mayHave(prefix: string, isOne: (key: string) => boolean): Promise<boolean> {
    const [any] = await this.range(prefix, endOfPrefix(prefix), 1)
    return any !== undefined || this.#queue.some(({ written }) => [...written.keys()].some(isOne))
  }

  /** What a key is known to have without reading it, with every staged write. */
  known(key: string): KeptValue | undefined {
    return this.#known.get(key)
  }

  /** The JSON text of a key, with every staged write. Keys that are asked for in one turn are read together. */
  async get(key: string): Promise<string | undefined> {
    const known = this.#known.get(key)
    if (known !== undefined) return known.value === undefined ? undefined : textOf(known.value)
    return this.#reads.get(key) ?? this.#read(key)
  }

  async #read(key: string): Promise<string | undefined> {
    this.#reading ??= this.#beginReading()
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

  #beginReading(): Reading {
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
      const next = this.#queue.shift()
      if (next === undefined) await this.#wake.wait()
      else await this.#commitOnce(next)
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

  async #commitOnce(gathered: Gathered): Promise<void> {
    const { written, appends, sequence } = gathered
    const parts = this.#parts.parts(gathered.mark(), this.#queue.length === 0)
    for (const [key, value] of parts.puts) written.set(key, value)
    try {
      const appended = await this.#claim.commit({ ...changedKeys(written), appends, needs: parts.needs })
      this.#durable = sequence
      this.#settleUpTo(sequence, written.keys())
      this.#parts.committed({ keys: written.keys(), entries: appends }, appended)
    } catch (error) {
      this.abandon(error)
      this.#parts.failed(error)
    }
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
  if (step.puts !== undefined) {
    for (const [key, value] of step.puts)
      bytes += key.length + (typeof value === 'string' ? value.length : 256)
  }
  if (step.appends !== undefined) for (const { value } of step.appends) bytes += value.length
  return bytes
}

const allOnce = 'once/'

function isOnce(key: string): boolean {
  return key.startsWith(allOnce)
}

const allDeadLetters = 'dead-letter/'

function isDeadLetter(key: string): boolean {
  return key.startsWith(allDeadLetters)
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
    else puts.push(new Put(key, Buffer.from(textOf(value))))
  }
  return { puts, deletes }
}
