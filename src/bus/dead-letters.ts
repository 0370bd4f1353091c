import { isMillraceError, MillraceError } from '../core/errors.ts'
import { decodeEvent } from '../core/event-codec.ts'
import { checkDuration, checkOptionNames, type OptionNames, optionNames } from '../core/options.ts'
import type { Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'
import type { DeadLetter } from './dead-letter.ts'
import { maxAnswerRows } from './dead-letter-answers.ts'
import type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterPage,
  DeadLetterScope,
  DeadLetterSelection,
  DeadLettersAsked,
  DiscardOptions,
  RedriveOptions,
  ShownDeadLetter,
} from './dead-letter-list.ts'
import { DeadLetterOrders } from './dead-letter-orders.ts'
import { type Asked, discardType, redriveType } from './dead-letter-requests.ts'
import {
  addGroup,
  byCount,
  comparePartitions,
  cursorOf,
  type FoundDeadLetter,
  foundOf,
  parseCursor,
} from './found-dead-letters.ts'
import { internalTopics } from './internal-topics.ts'
import { openDeadLetters } from './open-dead-letters.ts'
import type { OwnerQueries } from './owner-queries.ts'
import type { Owned } from './queries.ts'
import type { Waiter } from './waiting-publishers.ts'

/** What {@link DeadLetters} works with. */
export interface DeadLetterTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  readonly queries: OwnerQueries
  /** The group of each of the application's handlers, by its name. */
  readonly handlers: ReadonlyMap<string, string>
  /** The groups of the application. */
  readonly groups: readonly string[]
  /** Begins to wait for replies of these names. */
  begin(names: readonly string[]): Promise<Waiter>
}

/** The most dead letters of one page. */
export const maxDeadLetterPage = 1_000
const defaultPage = 100
const readLimits = { records: 100, bytes: 4 * 1024 * 1024 } as const

const selectionNames = optionNames<DeadLetterSelection>({ id: true, handler: true, group: true })
const handlerNames = optionNames<Pick<DeadLetterSelection, 'handler'>>({ handler: true })
const ofPage = { limit: true, from: true } as const
const pageNames = optionNames<DeadLetterPage>(ofPage)
const ofOrder = { ...ofPage, wait: true, waitTimeoutMs: true, dryRun: true } as const
const redriveNames = optionNames<RedriveOptions>(ofOrder)
const discardNames = optionNames<DiscardOptions>({ ...ofOrder, reason: true })

interface Page extends DeadLetterScope {
  readonly found: readonly FoundDeadLetter[]
  readonly next?: string
}

/**
 * The dead letters that are open: neither handled since by a redrive, nor discarded. What is open is found in the state of
 * each partition, whatever the length of the log, by its owner, whichever process that is; redriving and discarding are
 * records that the owner executes. A call that names one dead letter is `OWNER_UNREACHABLE` when nobody answers for its
 * partition; others leave out such partitions, and say which these are.
 */
export class DeadLetters {
  readonly #tools: DeadLetterTools
  readonly #orders: DeadLetterOrders

  constructor(tools: DeadLetterTools) {
    this.#tools = tools
    this.#orders = new DeadLetterOrders(tools)
  }

  /** Open dead letters, page by page, by group of handlers, partition, handler, topic and offset. */
  async list(selection: DeadLetterSelection = {}, page: DeadLetterPage = {}): Promise<DeadLetterList> {
    checkOptionNames('list', selection, selectionNames)
    checkOptionNames('list', page, pageNames)
    return listOf(await this.#find(selection, page))
  }

  /**
   * Open dead letters by what made them fail, the most frequent first. Looks at all that are open; of each partition the
   * 1,000 most frequent groups are given.
   */
  async groups(
    selection: Pick<DeadLetterSelection, 'handler'> = {},
  ): Promise<DeadLetterScope & { readonly groups: readonly DeadLetterGroup[] }> {
    checkOptionNames('groups', selection, handlerNames)
    const { handler } = selection
    const partitions = this.#partitions(handler)
    const query = { kind: 'dead-letter-groups' as const, handler }
    const answers = await Promise.all(
      partitions.map((at) =>
        this.#tools.queries.ask(at, query).catch((error: unknown) => {
          if (isMillraceError(error, 'OWNER_UNREACHABLE')) return undefined
          throw error
        }),
      ),
    )
    const groups = new Map<string, DeadLetterGroup>()
    for (const group of answers.flatMap((answer) => answer ?? [])) addGroup(groups, group)
    const unanswered = partitions.filter((_, index) => answers[index] === undefined)
    if (groups.size === 0 && unanswered.length === 0) this.#check(selection)
    return { groups: byCount(groups), unanswered }
  }

  /**
   * A dead letter with its event, its error and every attempt that is kept. `DEAD_LETTER_UNKNOWN` when it is not open.
   */
  async show(id: string): Promise<ShownDeadLetter> {
    const { letter, at, eventId } = await this.#one(id)
    const place = { topic: internalTopics(at.group).deadLetters, partition: at.partition }
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
   * waits of it. One whose handler is gone is left out. A dry run only says which these would be. With `wait`, it resolves
   * once they are handled or have failed again, and says which did.
   */
  async redrive(selection: DeadLetterSelection, options: RedriveOptions = {}): Promise<DeadLettersAsked> {
    checkMeant('redrive', selection)
    checkOrder('redrive', options, redriveNames)
    this.#check(selection)
    const page = await this.#find(selection, options)
    const found = page.found.filter(({ letter }) => this.#tools.handlers.has(letter.handler))
    return this.#order({ ...page, found }, options, ({ letter: { handler, topic, key, offset } }) => {
      return { type: redriveType, data: { handler, topic, key, offset } }
    })
  }

  /**
   * Asks the owners to give up a page of dead letters for good; the reason stays in the log. A key that was held goes on
   * behind it. One that is being tried again at that moment stays open. With `wait`, it resolves once that is done.
   */
  async discard(selection: DeadLetterSelection, options: DiscardOptions): Promise<DeadLettersAsked> {
    checkMeant('discard', selection)
    checkOrder('discard', options, discardNames)
    const reason = options?.reason
    if (typeof reason !== 'string' || reason.trim() === '')
      throw new TypeError('discard: a reason must be given')
    const page = await this.#find(selection, options)
    return this.#order(page, options, ({ letter: { handler, topic, key, offset } }) => {
      return { type: discardType, data: { handler, topic, key, offset, reason } }
    })
  }

  async #order(
    page: Page,
    { dryRun = false, ...wait }: RedriveOptions,
    askedOf: (found: FoundDeadLetter) => Asked,
  ): Promise<DeadLettersAsked> {
    const list = listOf(page)
    if (dryRun) return { ...list, asked: 0, dryRun }
    const outcome = await this.#orders.give(page.found, askedOf, wait)
    return { ...list, asked: page.found.length, dryRun, ...(outcome === undefined ? {} : { outcome }) }
  }

  async #find(selection: DeadLetterSelection, { limit = defaultPage, from }: DeadLetterPage): Promise<Page> {
    checkPage(limit, from)
    if (selection.id !== undefined) {
      const one = await this.#one(selection.id)
      const { handler = one.letter.handler, group = one.letter.fingerprint } = selection
      const isMeant = handler === one.letter.handler && group === one.letter.fingerprint
      return { found: isMeant ? [one] : [], unanswered: [] }
    }
    const found: FoundDeadLetter[] = []
    const unanswered: Owned[] = []
    const search = {
      queries: this.#tools.queries,
      partitions: this.#partitions(selection.handler),
      selection,
      after: from,
      pageRows: Math.min(limit + 1, maxAnswerRows),
      unanswered: (at: Owned) => unanswered.push(at),
    }
    for await (const next of openDeadLetters(search)) {
      const last = found.at(-1)
      if (found.length === limit && last !== undefined) return { found, unanswered, next: cursorOf(last) }
      found.push(next)
    }
    if (found.length === 0 && unanswered.length === 0) this.#check(selection)
    return { found, unanswered }
  }

  async #one(id: string): Promise<FoundDeadLetter> {
    const place = /^([^/]{1,200})\/([^/]{1,200})\/(\d{1,6})\/(\d{1,16})$/.exec(id)
    const [, handler = '', topic = '', digits, offset] = place ?? []
    const partition = Number(digits)
    if (place === null || partition >= this.#tools.engine.partitions) throw unknown(id)
    const query = { kind: 'dead-letter' as const, handler, topic, offset: Number(offset) }
    for (const group of this.#groupsOf(handler)) {
      const at = { group, partition }
      const row = await this.#tools.queries.ask(at, query)
      if (row !== null) return foundOf(at, row)
    }
    throw unknown(id)
  }

  /** The groups whose state can have the dead letters of a handler: all of them for one that is gone. */
  #groupsOf(handler: string | undefined): readonly string[] {
    const group = handler === undefined ? undefined : this.#tools.handlers.get(handler)
    return group === undefined ? this.#tools.groups : [group]
  }

  #partitions(handler: string | undefined): readonly Owned[] {
    const { engine } = this.#tools
    const partitions = this.#groupsOf(handler).flatMap((group) =>
      Array.from({ length: engine.partitions }, (_, partition) => ({ group, partition })),
    )
    return partitions.sort(comparePartitions)
  }

  /** `HANDLER_UNKNOWN`. One that is gone may have left some that are open, which is looked at first. */
  #check({ handler }: DeadLetterSelection): void {
    if (handler === undefined || this.#tools.handlers.has(handler)) return
    throw new MillraceError('HANDLER_UNKNOWN', `There is no handler '${handler}'.`, {
      where: 'handler',
      fix: `Use one of: ${[...this.#tools.handlers.keys()].join(', ')}.`,
    })
  }
}

function listOf({ found, next, unanswered }: Page): DeadLetterList {
  return {
    letters: found.map(({ letter }) => letter),
    ...(next === undefined ? {} : { next }),
    unanswered,
  }
}

/** What is given as undefined was meant to select something. */
function checkMeant(method: string, selection: DeadLetterSelection): void {
  if (typeof selection !== 'object' || selection === null)
    throw new TypeError(`${method}: which dead letters are meant must be said; {} means all`)
  checkOptionNames(method, selection, selectionNames)
  for (const [name, value] of Object.entries(selection)) {
    if (typeof value === 'string') continue
    throw new TypeError(
      `${method}: '${name}' must be a string, not ${typeof value}; leave it out to mean all`,
    )
  }
}

function checkOrder(method: string, options: RedriveOptions, names: OptionNames): void {
  checkOptionNames(method, options, names)
  checkDuration(method, 'waitTimeoutMs', options?.waitTimeoutMs, 0)
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
