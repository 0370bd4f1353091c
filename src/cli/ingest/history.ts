import { hash } from 'node:crypto'
import { ingestProgressedType, ingestTopic } from '../../bus/internal-topics.ts'
import type { Event } from '../../core/event.ts'
import type { LogAccess } from '../access/port.ts'
import type { Line } from './lines.ts'
import { defaultSource, type Mapping } from './mapping.ts'

/**
 * How a run of `ingest` goes on where an earlier one stopped, however long ago that was. Every batch is appended in one step
 * with an event of this data, which says what of the input is in the log now. Inputs are told by their content alone.
 */
export interface IngestProgress {
  /** How many lines of the input the log has seen. */
  readonly lines: number
  /** What {@link PrefixHash} gives after those lines: which input it was, and how it was mapped. */
  readonly prefix: string
  /** The lines of this batch that were refused and skipped; a later run offers them again. */
  readonly skipped: readonly number[]
}

/** A running hash over the mapping and every line so far: equal only where all of that is equal. */
export class PrefixHash {
  #value: string

  constructor(mapping: Mapping) {
    const { type, source = defaultSource, idField, timeField, subjectField, keyField, topic } = mapping
    this.#value = sha256(JSON.stringify([type, source, idField, timeField, subjectField, keyField, topic]))
  }

  /** The hash with one more line. */
  add(line: Line): string {
    const head = `${this.#value} ${line.number} ${line.totalBytes} `
    this.#value = sha256(Buffer.concat([Buffer.from(head), line.bytes]))
    return this.#value
  }
}

function sha256(content: string | Uint8Array): string {
  return hash('sha256', content, 'hex')
}

/** The id of the event of a line: the same in every run over the same input. */
export function lineId(prefix: string): string {
  return prefix.slice(0, 32)
}

/** The event that tells progress. Its id is of its content, so that an append that is repeated adds nothing. */
export function progressEvent(progress: IngestProgress, nowMs: number): Event {
  return {
    specversion: '1.0',
    id: sha256(JSON.stringify([progress.prefix, progress.skipped])).slice(0, 32),
    source: defaultSource,
    type: ingestProgressedType,
    time: new Date(nowMs).toISOString(),
    partitionkey: progress.prefix,
    data: progress,
  }
}

const pageRecords = 1000

/** Everything that was ever ingested into a log, by its prefix. */
export async function readHistory(access: LogAccess): Promise<ReadonlyMap<string, IngestProgress>> {
  const history = new Map<string, IngestProgress>()
  const topic = (await access.topics()).find(({ name }) => name === ingestTopic)
  for (const { partition, start, end } of topic?.partitions ?? []) {
    for (let from = start; from < end; ) {
      const page = await access.read({ topic: ingestTopic, partition }, from, pageRecords)
      for (const { event } of page.records) {
        const progress = event.data as IngestProgress
        history.set(progress.prefix, progress)
      }
      if (page.next <= from) break
      from = page.next
    }
  }
  return history
}
