import { type ErrorCode, MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { LogAccess } from '../access/port.ts'
import { appendPatiently } from './append.ts'
import { type IngestProgress, lineId, PrefixHash, progressEvent, readHistory } from './history.ts'
import type { Line } from './lines.ts'
import { eventOf, type Mapping } from './mapping.ts'

/** What a run of {@link ingest} works with. */
export interface IngestOptions {
  readonly access: LogAccess
  readonly runtime: Runtime
  readonly mapping: Mapping
  /** What happens at a line that does not parse or is refused: the run ends, or goes on without it. */
  readonly onError: 'stop' | 'skip'
  readonly maxLineBytes: number
  /** When a batch is full; 1000 lines or 512 KiB unless given. Runs over one input must agree on it. */
  readonly batchBounds?: { readonly lines: number; readonly bytes: number }
  /** Told of every line that is skipped: its error, with the line in `where` and in `facts.line`. */
  readonly onSkipped: (error: MillraceError) => void
  /** Told of the counts so far, after each batch. */
  readonly onProgress: (counts: Readonly<IngestCounts>) => void
}

/** What a run has done so far. Each line is counted once. */
export interface IngestCounts {
  lines: number
  added: number
  /** Lines that were in the log already. */
  known: number
  /** Lines that were refused and skipped. */
  skipped: number
}

interface Item {
  readonly line: Line
  /** The prefix hash with this line. */
  readonly prefix: string
  event?: Event
  problem?: MillraceError | undefined
}

/** Fixed, because a later run must cut the same input in the same places. */
const defaultBatchBounds = { lines: 1000, bytes: 512 * 1024 } as const

/**
 * Puts the lines of an input into the log, in their order, each once however often it is run. One batch is on its way while
 * the next is read, so memory is bounded and the order of lines holds. Throws the error of the line that stopped it.
 */
export async function ingest(
  lines: AsyncIterable<readonly Line[]>,
  options: IngestOptions,
): Promise<IngestCounts> {
  return new Ingest(options, await readHistory(options.access)).run(lines)
}

class Ingest {
  readonly #options: IngestOptions
  readonly #history: ReadonlyMap<string, IngestProgress>
  readonly #counts: IngestCounts = { lines: 0, added: 0, known: 0, skipped: 0 }
  #onItsWay: Promise<void> = Promise.resolve()
  #batch: Item[] = []
  #batchBytes = 0

  constructor(options: IngestOptions, history: ReadonlyMap<string, IngestProgress>) {
    this.#options = options
    this.#history = history
  }

  async run(lines: AsyncIterable<readonly Line[]>): Promise<IngestCounts> {
    const prefix = new PrefixHash(this.#options.mapping)
    try {
      for await (const some of lines) {
        for (const line of some) await this.#take({ line, prefix: prefix.add(line) })
      }
    } finally {
      await this.#send((batch) => this.#publish(batch))
      await this.#onItsWay
    }
    return this.#counts
  }

  async #take(item: Item): Promise<void> {
    this.#batch.push(item)
    this.#batchBytes += item.line.bytes.length
    const { lines, bytes } = this.#options.batchBounds ?? defaultBatchBounds
    const progress = this.#history.get(item.prefix)
    if (progress !== undefined) {
      await this.#send((batch) => this.#offerSkipped(batch, progress))
    } else if (this.#batch.length >= lines || this.#batchBytes >= bytes) {
      await this.#send((batch) => this.#publish(batch))
    }
  }

  /** Starts on the batch once the one before it is done. A failure surfaces at the next wait for it. */
  async #send(work: (batch: Item[]) => Promise<void>): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    await this.#onItsWay
    this.#onItsWay = work(batch).then(() => this.#options.onProgress(this.#counts))
    this.#onItsWay.catch(() => {})
  }

  /** The batch is in the log, except for the lines that were skipped then: they may pass now. */
  async #offerSkipped(batch: readonly Item[], progress: IngestProgress): Promise<void> {
    let skipped = progress.skipped
    for (const item of batch) {
      if (!skipped.includes(item.line.number)) {
        this.#count('known')
        continue
      }
      const others = skipped.filter((number) => number !== item.line.number)
      this.#map(item)
      item.problem ??= (await this.#append([item], { ...progress, skipped: others }))?.error
      if (item.problem === undefined) skipped = others
      else if (this.#options.onError === 'stop') throw atLine(item.line, item.problem)
      else this.#skip(item.line, item.problem)
    }
  }

  /** Publishes a batch in as few appends as its refused lines allow; each covers the lines from where the last one ended. */
  async #publish(batch: readonly Item[]): Promise<void> {
    for (const item of batch) this.#map(item)
    let rest = batch
    while (rest.length > 0) {
      const stopAt = this.#options.onError === 'stop' ? rest.findIndex(({ problem }) => problem) : -1
      const part = stopAt === -1 ? rest : rest.slice(0, stopAt)
      const done = part.length === 0 ? 0 : await this.#publishPart(part)
      rest = rest.slice(done)
      const stopped = this.#options.onError === 'stop' && done === part.length ? rest[0] : undefined
      if (stopped?.problem !== undefined) throw atLine(stopped.line, stopped.problem)
    }
  }

  /** Publishes as much of the part as is not refused; how many lines that was, and zero where the part must be cut anew. */
  async #publishPart(part: readonly Item[]): Promise<number> {
    const refusal = await this.#append(part, progressOf(part))
    if (refusal === undefined) {
      for (const { line, problem } of part) if (problem !== undefined) this.#skip(line, problem)
      return part.length
    }
    const offered = part.filter(({ problem }) => problem === undefined)
    const culprit = offered.length === 1 ? offered[0] : offered[refusal.index ?? -1]
    if (culprit === undefined) {
      const half = part.slice(0, Math.floor(part.length / 2))
      return this.#publishPart(half)
    }
    culprit.problem = refusal.error
    const before = part.slice(0, part.indexOf(culprit))
    return before.length === 0 ? 0 : this.#publishPart(before)
  }

  /** Appends the events of the items with their progress; the refusal, when it is about what a line holds. */
  async #append(items: readonly Item[], progress: IngestProgress): Promise<Refusal | undefined> {
    const { access, runtime, mapping } = this.#options
    const events = items.flatMap(({ event, problem }) => (event && !problem ? [event] : []))
    try {
      const all = [...events, progressEvent(progress, runtime.now())]
      const places = await appendPatiently(access, runtime, all, mapping.topic)
      for (const place of places.slice(0, events.length)) this.#count(place.duplicate ? 'known' : 'added')
      return undefined
    } catch (error) {
      if (events.length > 0 && isAboutALine(error, mapping)) return { error, index: indexIn(error) }
      throw error
    }
  }

  #map(item: Item): void {
    const { mapping, runtime, maxLineBytes: maxBytes } = this.#options
    try {
      item.event = eventOf(item.line, mapping, { id: lineId(item.prefix), nowMs: runtime.now(), maxBytes })
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      item.problem = error
    }
  }

  #skip(line: Line, error: MillraceError): void {
    this.#count('skipped')
    this.#options.onSkipped(atLine(line, error))
  }

  #count(outcome: 'added' | 'known' | 'skipped'): void {
    this.#counts.lines += 1
    this.#counts[outcome] += 1
  }
}

function progressOf(part: readonly Item[]): IngestProgress {
  const last = part.at(-1)
  const skipped = part.flatMap(({ line, problem }) => (problem === undefined ? [] : [line.number]))
  return { lines: last?.line.number ?? 0, prefix: last?.prefix ?? '', skipped }
}

interface Refusal {
  readonly error: MillraceError
  /** Which of the events was refused, where that is known. */
  readonly index: number | undefined
}

const lineCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BODY_TOO_LARGE',
  'COMMIT_TOO_LARGE',
  'DATA_INVALID',
  'DATA_NOT_STORABLE',
  'EVENT_INVALID',
  'EVENT_TOO_LARGE',
  'EVENT_TYPE_UNKNOWN',
  'ID_REUSED',
  'KEY_INVALID',
  'KEY_TOO_LONG',
])

/** Whether another line could still pass: an unknown `--type` is the mapping's fault, and that of no line. */
function isAboutALine(error: unknown, mapping: Mapping): error is MillraceError {
  if (!(error instanceof MillraceError) || !lineCodes.has(error.code)) return false
  return error.code !== 'EVENT_TYPE_UNKNOWN' || mapping.type === undefined
}

function indexIn(error: MillraceError): number | undefined {
  return typeof error.facts.index === 'number' ? error.facts.index : undefined
}

function atLine(line: Line, error: MillraceError): MillraceError {
  const where = `line ${line.number}${error.where === undefined ? '' : `, ${error.where.replace(/^\[\d+\]\.?/, '')}`}`
  const facts = { ...error.facts, line: line.number }
  return new MillraceError(error.code, error.message, { where, fix: error.fix, cause: error, facts })
}
