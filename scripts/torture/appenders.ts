import type { ToldAppend } from '../../src/testing/history.ts'
import { SeededRandom } from '../../src/testing/random.ts'
import { Account, nextAppend, type TortureAppend } from './app.ts'
import type { Answer, Request } from './messages.ts'

/** What {@link Appenders} work with. */
export interface AppendersOptions<Process> {
  readonly seed: number
  /** A process that takes requests; another each time where there are several. */
  next(): Process | undefined
  ask(process: Process, request: Request): void
  /** How many appends may have been begun by now. */
  allowed(): number
}

/** What somebody wants to append. */
interface Open<Process> {
  readonly wanted: Pick<TortureAppend, 'id' | 'numbers'>
  /** How it decides which version to expect, and whether it waits for every answer. */
  readonly expects: TortureAppend['expectedVersion'] | 'what is remembered' | 'what is looked up'
  readonly isPatient: boolean
  /** Decided anew after each conflict, under another name. */
  append: string
  expectedVersion: TortureAppend['expectedVersion'] | undefined
  asked: Process | undefined
  sinceMs: number
  patienceMs: number
}

interface Appender<Process> {
  readonly random: SeededRandom
  /** The version that it was told last of each stream. */
  readonly remembered: Map<string, number>
  open: Open<Process> | undefined
}

const appenders = 4
const everyMs = 30
/** So long somebody waits for an answer before asking another process; twice as long each time, so that nobody keeps slow ones busy. */
const patienceMs = { first: 1_000, most: 8_000 } as const
const againMs = 50
/** Then nothing is known of an append, and it is sent again. */
const unknown = [
  ...['UNREACHABLE', 'LOG_FULL', 'OVERLOADED', 'LOG_CLOSED', 'STORAGE_FAILED'],
  ...['WAIT_TIMEOUT', 'OWNER_UNREACHABLE'],
]

/**
 * Append to few streams all the time, each by the version that it has looked up or remembers, by whichever process answers, and
 * write down what they were told. What is not answered is sent again under its id; after a conflict they decide anew.
 */
export class Appenders<Process> {
  readonly problems: string[] = []
  readonly #options: AppendersOptions<Process>
  readonly #appenders: readonly Appender<Process>[]
  readonly #sent = new Map<string, TortureAppend>()
  readonly #told: Pick<ToldAppend, 'append' | 'told'>[] = []
  readonly #timer: NodeJS.Timeout
  #begun = 0
  #ended = false

  constructor(options: AppendersOptions<Process>) {
    this.#options = options
    this.#appenders = Array.from({ length: appenders }, (_, index) => ({
      random: new SeededRandom(options.seed, `appends ${index}`),
      remembered: new Map(),
      open: undefined,
    }))
    this.#timer = setInterval(() => this.#tick(), everyMs)
  }

  /** How many wait for an answer. */
  get open(): number {
    return this.#appenders.filter(({ open }) => open !== undefined).length
  }

  /** What was told of each append; nothing, of those that were never answered. */
  get told(): readonly ToldAppend[] {
    const answered = new Set(this.#told.map(({ append }) => append))
    const untold = [...this.#sent.keys()].filter((append) => !answered.has(append))
    const all = [...this.#told, ...untold.map((append) => ({ append, told: 'nothing' as const }))]
    return all.flatMap(({ append, told }) => {
      const sent = this.#sent.get(append)
      if (sent === undefined) return []
      const { id, expectedVersion, numbers } = sent
      return [{ stream: Account.name, id, append, expectedVersion, count: numbers.length, told }]
    })
  }

  /** How many answers said that an append was done, and how many that it was refused. */
  get counts(): { readonly appended: number; readonly conflicts: number } {
    const conflicts = this.#told.filter(({ told }) => told !== 'nothing' && 'conflict' in told).length
    return { appended: this.#told.length - conflicts, conflicts }
  }

  /** Nothing new is begun; what is open is still tried. */
  end(): void {
    this.#ended = true
  }

  close(): void {
    clearInterval(this.#timer)
  }

  hear(process: Process, answer: Answer): void {
    if ('lookedUp' in answer) this.#lookedUp(answer.lookedUp)
    if ('appended' in answer) this.#appended(answer.appended)
    if ('unanswered' in answer) this.#unanswered(process, answer.unanswered)
  }

  /** What was asked of a process that has ended is asked of another. */
  ended(process: Process): void {
    for (const appender of this.#appenders)
      if (appender.open?.asked === process) this.#again(appender, appender.open)
  }

  #tick(): void {
    const now = performance.now()
    for (const appender of this.#appenders) {
      const { open } = appender
      if (open === undefined) this.#begin(appender)
      else if (open.asked === undefined ? now >= open.sinceMs : now >= open.sinceMs + open.patienceMs) {
        open.patienceMs = Math.min(2 * open.patienceMs, patienceMs.most)
        this.#ask(open)
      }
    }
  }

  #begin(appender: Appender<Process>): void {
    if (this.#ended || this.#begun >= this.#options.allowed()) return
    const { random } = appender
    const chosen = random.next()
    const open: Open<Process> = {
      wanted: nextAppend(random),
      expects: expectation(chosen),
      isPatient: random.chance(0.9),
      append: `a${this.#begun}-0`,
      ...{ expectedVersion: undefined, asked: undefined, sinceMs: 0, patienceMs: patienceMs.first },
    }
    this.#begun += 1
    if (open.expects === 'what is remembered') open.expectedVersion = appender.remembered.get(open.wanted.id)
    else if (open.expects !== 'what is looked up') open.expectedVersion = open.expects
    appender.open = open
    this.#ask(open)
  }

  #ask(open: Open<Process>): void {
    const { append, wanted, expectedVersion } = open
    const process = this.#options.next()
    open.asked = process
    open.sinceMs = performance.now()
    if (process === undefined) return
    if (expectedVersion === undefined) {
      this.#options.ask(process, { lookUp: { append, id: wanted.id } })
      return
    }
    const asked = { ...wanted, append, expectedVersion }
    this.#sent.set(append, asked)
    this.#options.ask(process, { append: asked })
  }

  #lookedUp({ append, version }: { readonly append: string; readonly version: number }): void {
    const open = this.#of(append)?.open
    if (open === undefined || open.expectedVersion !== undefined) return
    open.expectedVersion = version
    this.#ask(open)
  }

  /** Whoever else was asked of it before must give the same answer, so that one is written down too. */
  #appended({ append, told }: Pick<ToldAppend, 'append' | 'told'>): void {
    this.#told.push({ append, told })
    const appender = this.#of(append)
    const open = appender?.open
    if (appender === undefined || open === undefined || told === 'nothing') return
    const version = 'conflict' in told ? told.conflict : told.version
    appender.remembered.set(open.wanted.id, version)
    if (!('conflict' in told) || typeof open.expectedVersion !== 'number') {
      appender.open = undefined
      this.#begin(appender)
      return
    }
    const [name, conflicts] = append.split('-')
    open.append = `${name}-${Number(conflicts) + 1}`
    open.expectedVersion = version
    this.#ask(open)
  }

  #unanswered(process: Process, { append, code }: { readonly append: string; readonly code: string }): void {
    if (!unknown.includes(code)) this.problems.push(`append '${append}' failed: ${code}`)
    const appender = this.#of(append)
    const open = appender?.open
    if (appender === undefined || open === undefined || open.asked !== process) return
    this.#again(appender, open)
  }

  /** A moment later, by whom it still matters to. */
  #again(appender: Appender<Process>, open: Open<Process>): void {
    open.asked = undefined
    open.sinceMs = performance.now() + againMs
    if (!open.isPatient) appender.open = undefined
  }

  #of(append: string): Appender<Process> | undefined {
    return this.#appenders.find(({ open }) => open?.append === append)
  }
}

function expectation(chosen: number): Open<unknown>['expects'] {
  if (chosen < 0.04) return 'no-stream'
  if (chosen < 0.08) return 'stream-exists'
  if (chosen < 0.16) return 'any'
  return chosen < 0.5 ? 'what is remembered' : 'what is looked up'
}
