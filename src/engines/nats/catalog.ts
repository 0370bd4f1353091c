import type { Connection } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'

/** A value of the catalog, with the revision by which it is replaced. */
export interface CatalogValue<T> {
  readonly value: T
  readonly revision: number
}

const wrongLastPattern = /wrong last sequence: (\d+)/

/** The newest sequence of the subject, as a server says it that refused another. */
export function lastSequenceIn(error: unknown): number | undefined {
  if (!isRefusal(error, refusals.wrongLast)) return undefined
  const found = wrongLastPattern.exec((error as Error).message)
  return found === null ? undefined : Number(found[1])
}

/**
 * The headers of a message that is to be stored behind the message of a sequence, or not at all. Servers of a cluster before 2.11
 * compare that sequence when a message comes and not when it is stored, so two that come together would both be stored. Ids are
 * compared when messages are stored: of those that would follow the same one, which share theirs, only the first is. `state` tells
 * apart what looks the same when messages were removed.
 */
export function behindHeaders(subject: string, last: number, state = ''): Readonly<Record<string, string>> {
  return { 'Nats-Expected-Last-Subject-Sequence': String(last), 'Nats-Msg-Id': `${subject}~${last}${state}` }
}

/** Keys with values of JSON in one stream, which keeps the last message of each subject. */
export class Catalog {
  readonly #connection: Connection
  readonly #stream: string

  constructor(connection: Connection, stream: string) {
    this.#connection = connection
    this.#stream = stream
  }

  async get<T>(key: string): Promise<CatalogValue<T> | undefined> {
    const message = await this.#connection.message(this.#stream, { last_by_subj: key })
    if (message === undefined) return undefined
    return { value: JSON.parse(Buffer.from(message.data).toString()) as T, revision: message.sequence }
  }

  /**
   * Replaces a value by what `next` makes of it, whatever others do at the same time; leaves it where that gives undefined. A
   * change may be made twice where an answer was lost, so `next` must not mind its own value.
   */
  async change<T>(key: string, next: (before: T | undefined) => T | undefined): Promise<void> {
    for (;;) {
      const before = await this.get<T>(key)
      const value = next(before?.value)
      if (value === undefined) return
      const payload = Buffer.from(JSON.stringify(value))
      const headers = this.#connection.headers(behindHeaders(key, before?.revision ?? 0))
      try {
        const { duplicate } = await this.#connection.bridge(() =>
          this.#connection.publish(key, payload, headers),
        )
        if (!duplicate) return
      } catch (error) {
        if (!isRefusal(error, refusals.wrongLast)) throw error
      }
    }
  }

  /** The keys that match a subject. */
  async keys(filter: string): Promise<readonly string[]> {
    return [...(await subjectsOf(this.#connection, this.#stream, filter)).keys()]
  }

  /** Removes the keys that match a subject. */
  async remove(filter: string): Promise<void> {
    await this.#connection.call(`STREAM.PURGE.${this.#stream}`, { filter })
  }
}

interface StreamState {
  readonly state: { readonly subjects?: Readonly<Record<string, number>> }
  readonly total?: number
}

/** The subjects of a stream that match one, with how many messages each has. */
export async function subjectsOf(
  connection: Connection,
  stream: string,
  filter: string,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  for (;;) {
    const answer = await connection.call<StreamState>(`STREAM.INFO.${stream}`, {
      subjects_filter: filter,
      offset: found.size,
    })
    const before = found.size
    for (const [subject, count] of Object.entries(answer.state.subjects ?? {})) found.set(subject, count)
    if (found.size >= (answer.total ?? 0) || found.size === before) return found
  }
}

/** Removes the messages of a subject below a sequence. */
export async function removeBelow(
  connection: Connection,
  stream: string,
  { subject, below }: { readonly subject: string; readonly below: number },
): Promise<void> {
  // Servers take a first sequence for none, and would remove everything.
  if (below > 1) await connection.call(`STREAM.PURGE.${stream}`, { filter: subject, seq: below })
}
