import { MillraceError } from '../core/errors.ts'
import { decodeEvent } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Entry, LogEngine } from '../log/port.ts'
import type { DeadLetter } from './dead-letter.ts'
import type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterPage,
  DeadLetterScope,
  DeadLetterSelection,
  DeadLettersAsked,
  ShownDeadLetter,
} from './dead-letter-list.ts'
import { discardType, redriveType, requestEntry } from './dead-letter-requests.ts'
import {
  comparePartitions,
  cursorOf,
  type FoundDeadLetter,
  foundOf,
  type OpenPartition,
  openDeadLetters,
  parseCursor,
} from './open-dead-letters.ts'
import { stateLayout } from './state-layout.ts'

/** What {@link DeadLetters} works with. */
export interface DeadLetterTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  /** The names of the application's handlers. */
  readonly handlers: ReadonlySet<string>
  /** The groups that these are in. */
  readonly groups: readonly string[]
  /** The partitions that are owned here now. */
  owned(): readonly OpenPartition[]
}

/** The most dead letters of one page. */
export const maxDeadLetterPage = 1_000
const defaultPage = 100
const readLimits = { records: 100, bytes: 4 * 1024 * 1024 } as const

/**
 * The dead letters that are open: neither handled since by a redrive, nor discarded. All calls look at the partitions that
 * this process owns, and say which these are. What is open is found in the state of those, whatever the length of the log;
 * redriving and discarding are records that the owner executes.
 */
export class DeadLetters {
  readonly #tools: DeadLetterTools

  constructor(tools: DeadLetterTools) {
    this.#tools = tools
  }

  /** Open dead letters, page by page, by partition, handler, topic and offset. */
  async list(selection: DeadLetterSelection = {}, page: DeadLetterPage = {}): Promise<DeadLetterList> {
    const { found, next } = await this.#find(selection, page)
    return { letters: found.map(({ letter }) => letter), ...next, ...this.#scope() }
  }

  /** Open dead letters by what made them fail, the most frequent first. Looks at all that are open. */
  async groups(
    selection: Pick<DeadLetterSelection, 'handler'> = {},
  ): Promise<DeadLetterScope & { readonly groups: readonly DeadLetterGroup[] }> {
    this.#check(selection)
    const groups = new Map<string, DeadLetterGroup>()
    for await (const { letter } of openDeadLetters(this.#owned, selection)) {
      const { fingerprint, handler, error, atMs, id } = letter
      const known = groups.get(fingerprint)
      const isLatest = atMs >= (known?.lastMs ?? atMs)
      groups.set(fingerprint, {
        fingerprint,
        handler,
        error: known === undefined || isLatest ? error : known.error,
        count: (known?.count ?? 0) + 1,
        firstMs: Math.min(known?.firstMs ?? atMs, atMs),
        lastMs: Math.max(known?.lastMs ?? atMs, atMs),
        latest: known === undefined || isLatest ? id : known.latest,
      })
    }
    return { groups: [...groups.values()].sort((a, b) => b.count - a.count), ...this.#scope() }
  }

  /**
   * A dead letter with its event, its error and every attempt that is kept. `DEAD_LETTER_UNKNOWN` when it is not open,
   * `NOT_OWNER` when another process owns its partition.
   */
  async show(id: string): Promise<ShownDeadLetter> {
    const { letter, at, eventId } = await this.#one(id)
    const place = { topic: at.internal.deadLetters, partition: at.partition }
    // Times of a place never fall, so its record is there or behind.
    let next = await this.#tools.engine.offsetAt(place, letter.atMs)
    for (;;) {
      const batch = await this.#tools.engine.read(place, next, readLimits)
      if (batch.records.length === 0) throw unknown(id)
      const event = batch.records.map(({ value }) => decodeEvent(value)).find((other) => other.id === eventId)
      next = batch.next
      if (event === undefined) continue
      const { event: dead, error, failures } = event.data as DeadLetter
      return { ...letter, event: dead, error, failures }
    }
  }

  /**
   * Asks the owners to hand a page of dead letters back to their handlers: in offset order for each key, and before what
   * waits of it. One whose handler is gone is left out. A dry run only says which these would be.
   */
  async redrive(
    selection: DeadLetterSelection,
    page: DeadLetterPage & { readonly dryRun?: boolean } = {},
  ): Promise<DeadLettersAsked> {
    const { found, next } = await this.#find(selection, page)
    const chosen = found.filter(({ letter }) => this.#tools.handlers.has(letter.handler))
    const entries = chosen.map(({ letter: { handler, topic, key, offset, partition }, at }) => {
      const data = { handler, topic, key, offset }
      return requestEntry(
        { topic: at.internal.redrives, partition },
        { type: redriveType, data },
        this.#tools,
      )
    })
    return this.#ask(chosen, entries, page.dryRun === true, next)
  }

  /**
   * Asks the owners to give up a page of dead letters for good; the reason stays in the log. A key that was held goes on
   * behind it. One that is being tried again at that moment stays open.
   */
  async discard(
    selection: DeadLetterSelection,
    options: DeadLetterPage & { readonly reason: string; readonly dryRun?: boolean },
  ): Promise<DeadLettersAsked> {
    const { reason } = options
    if (typeof reason !== 'string' || reason.trim() === '')
      throw new TypeError('discard: a reason must be given')
    const { found, next } = await this.#find(selection, options)
    const entries = found.map(({ letter: { handler, topic, key, offset, partition }, at }) => {
      const data = { handler, topic, key, offset, reason }
      return requestEntry(
        { topic: at.internal.redrives, partition },
        { type: discardType, data },
        this.#tools,
      )
    })
    return this.#ask(found, entries, options.dryRun === true, next)
  }

  async #ask(
    chosen: readonly FoundDeadLetter[],
    entries: readonly Entry[],
    dryRun: boolean,
    next: { readonly next?: string },
  ): Promise<DeadLettersAsked> {
    if (!dryRun && entries.length > 0) await this.#tools.engine.append(entries)
    const letters = chosen.map(({ letter }) => letter)
    return { asked: dryRun ? 0 : entries.length, dryRun, letters, ...next, ...this.#scope() }
  }

  async #find(
    selection: DeadLetterSelection,
    { limit = defaultPage, from }: DeadLetterPage,
  ): Promise<{ readonly found: readonly FoundDeadLetter[]; readonly next: { readonly next?: string } }> {
    checkPage(limit, from)
    this.#check(selection)
    if (selection.id !== undefined) {
      const one = await this.#one(selection.id)
      const { handler = one.letter.handler, group = one.letter.fingerprint } = selection
      const isMeant = handler === one.letter.handler && group === one.letter.fingerprint
      return { found: isMeant ? [one] : [], next: {} }
    }
    const found: FoundDeadLetter[] = []
    for await (const next of openDeadLetters(this.#owned, selection, from)) {
      const last = found.at(-1)
      if (found.length === limit && last !== undefined) return { found, next: { next: cursorOf(last) } }
      found.push(next)
    }
    return { found, next: {} }
  }

  async #one(id: string): Promise<FoundDeadLetter> {
    const place = /^([^/]+)\/([^/]+)\/(\d{1,6})\/(\d{1,16})$/.exec(id)
    const [, handler = '', topic = '', digits, offset] = place ?? []
    const partition = Number(digits)
    if (place === null || partition >= this.#tools.engine.partitions) throw unknown(id)
    const key = stateLayout.deadLetter(handler, topic, Number(offset))
    const owned = this.#owned.filter((candidate) => candidate.partition === partition)
    for (const at of owned) {
      const [text] = await at.state.getCommitted([key])
      if (text !== undefined) return foundOf(at, key, text)
    }
    if (owned.length === this.#tools.groups.length) throw unknown(id)
    throw new MillraceError('NOT_OWNER', `Partition ${partition} is not owned by this process.`, {
      where: `dead letter ${id}`,
      fix: 'Ask the process that owns the partition.',
    })
  }

  get #owned(): readonly OpenPartition[] {
    return [...this.#tools.owned()].sort(comparePartitions)
  }

  #check({ handler }: DeadLetterSelection): void {
    if (handler === undefined || this.#tools.handlers.has(handler)) return
    throw new MillraceError('HANDLER_UNKNOWN', `There is no handler '${handler}'.`, {
      where: 'handler',
      fix: `Use one of: ${[...this.#tools.handlers].join(', ')}.`,
    })
  }

  #scope(): DeadLetterScope {
    const of = this.#tools.engine.partitions
    const owned = this.#owned
    const partitions = this.#tools.groups.map((group) => {
      const ofGroup = owned.filter((other) => other.group === group)
      return { group, owned: ofGroup.map(({ partition }) => partition), of }
    })
    return { partitions }
  }
}

function checkPage(limit: number, from: string | undefined): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxDeadLetterPage)
    throw new TypeError(`the limit of dead letters is from 1 to ${maxDeadLetterPage}`)
  if (from === undefined || parseCursor(from) !== undefined) return
  throw new MillraceError('REQUEST_INVALID', `'${from}' is no place in the list of dead letters.`, {
    where: 'from',
    fix: 'Give `next` of the page before, unchanged.',
  })
}

function unknown(id: string): MillraceError {
  return new MillraceError('DEAD_LETTER_UNKNOWN', `There is no open dead letter '${id}'.`, {
    where: `dead letter ${id}`,
    fix: 'List what is open; one that was handled or discarded since is not.',
  })
}
