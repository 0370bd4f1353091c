import type {
  Checkpoint,
  ClaimName,
  Journal,
  JournalAppend,
  JournalValue,
} from '../../log/journal/log-servers.ts'
import type { ReadLimits } from '../../log/port.ts'
import { behindHeaders, type Catalog, lastSequenceIn, removeBelow, subjectsOf } from './catalog.ts'
import type { Connection } from './connection.ts'
import { type Names, token } from './names.ts'
import { messagesThrough } from './scan.ts'

/** Where a claim's newest checkpoint is. */
interface CheckpointNote {
  /** The journal sequence that it was put under. */
  readonly sequence: number
  readonly id: string
  /** The sequences of its first and its last piece. */
  readonly first: number
  readonly last: number
  readonly pieces: number
}

/** What journals work with. */
export interface JournalParts {
  readonly connection: Connection
  readonly names: Names
  readonly catalog: Catalog
}

/** The journal of one claim: a subject of its own in the stream of all journals. */
export class NatsJournal implements Journal {
  readonly #parts: JournalParts
  readonly #name: ClaimName
  readonly #subject: string

  constructor(parts: JournalParts, name: ClaimName) {
    this.#parts = parts
    this.#name = name
    this.#subject = parts.names.journal(name)
  }

  async last(): Promise<JournalValue | undefined> {
    const { connection, names } = this.#parts
    const message = await connection.message(names.journals, { last_by_subj: this.#subject })
    return message === undefined ? undefined : { sequence: message.sequence, value: message.data }
  }

  async append(value: Uint8Array, expectedLast: number): Promise<JournalAppend> {
    const { connection } = this.#parts
    const id = connection.runtime.id()
    const headers = connection.headers({ ...behindHeaders(this.#subject, expectedLast), [writeHeader]: id })
    let last: number | undefined
    let isInDoubt = false
    try {
      const { sequence, duplicate } = await connection.bridge((tried) => {
        isInDoubt = tried > 0
        return connection.publish(this.#subject, value, headers)
      })
      if (!duplicate) return { stored: true, sequence }
      last = sequence
    } catch (error) {
      last = lastSequenceIn(error)
      if (last === undefined) throw error
    }
    // What stands there may be this very value, the answer to which was lost.
    if (isInDoubt && (await this.#isOwn(last, id))) return { stored: true, sequence: last }
    return { stored: false, last }
  }

  async read(after: number, limits: ReadLimits): Promise<readonly JournalValue[]> {
    const newest = await this.last()
    if (newest === undefined || newest.sequence <= after) return []
    if (limits.records <= 1 && after + 1 === newest.sequence) return [newest]
    const { connection, names } = this.#parts
    const at = { stream: names.journals, subject: this.#subject, from: after + 1 }
    const values: JournalValue[] = []
    let bytes = 0
    for await (const { sequence, data } of messagesThrough(connection, at, newest.sequence)) {
      bytes += data.length
      if (values.length > 0 && (values.length >= limits.records || bytes > limits.bytes)) break
      values.push({ sequence, value: data })
    }
    return values
  }

  async trim(through: number): Promise<void> {
    const newest = await this.last()
    if (newest === undefined) return
    const { connection, names } = this.#parts
    const below = Math.min(through + 1, newest.sequence)
    await removeBelow(connection, names.journals, { subject: this.#subject, below })
  }

  async putCheckpoint({ sequence, chunks }: Checkpoint): Promise<void> {
    const { connection, names, catalog } = this.#parts
    const id = `${sequence}-${connection.runtime.id().slice(-12)}`
    const subject = names.checkpoint(this.#name, id)
    const mostBytes = connection.maxPayloadBytes - headersBytes
    let first = 0
    let last = 0
    let pieces = 0
    for await (const chunk of chunks) {
      for (let from = 0; from < chunk.length; from += mostBytes) {
        const headers = connection.headers({ 'Nats-Msg-Id': `${id}.${pieces}` })
        const piece = chunk.subarray(from, from + mostBytes)
        last = (await connection.bridge(() => connection.publish(subject, piece, headers))).sequence
        if (pieces === 0) first = last
        pieces += 1
      }
    }
    let newest = sequence
    await catalog.change<CheckpointNote>(this.#key, (before) => {
      newest = Math.max(sequence, before?.sequence ?? 0)
      if (before !== undefined && before.sequence >= sequence) return undefined
      return { sequence, id, first, last, pieces }
    })
    await this.#removeBelow(newest)
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    const note = await this.#parts.catalog.get<CheckpointNote>(this.#key)
    if (note === undefined) return undefined
    return { sequence: note.value.sequence, chunks: this.#chunks(note.value) }
  }

  get #key(): string {
    return this.#parts.names.key('checkpoint', token(this.#name.group), String(this.#name.partition))
  }

  async *#chunks({ id, first, last, pieces }: CheckpointNote): AsyncGenerator<Uint8Array> {
    if (pieces === 0) return
    const { connection, names } = this.#parts
    const subject = names.checkpoint(this.#name, id)
    const at = { stream: names.journals, subject, from: first }
    const there = await connection.message(names.journals, { last_by_subj: subject })
    let count = 0
    if (there?.sequence === last) {
      for await (const { data } of messagesThrough(connection, at, last)) {
        count += 1
        yield data
      }
    }
    if (count !== pieces) throw new Error('this checkpoint was replaced while it was read')
  }

  /** Removes the pieces of checkpoints that nobody can ask for any more, of whoever began to put them. */
  async #removeBelow(newest: number): Promise<void> {
    const { connection, names } = this.#parts
    const subjects = await subjectsOf(connection, names.journals, names.checkpoint(this.#name))
    for (const subject of subjects.keys()) {
      const sequence = Number.parseInt(subject.split('.').at(-1) ?? '', 10)
      if (sequence >= newest) continue
      await connection.call(`STREAM.PURGE.${names.journals}`, { filter: subject })
    }
  }

  async #isOwn(sequence: number, id: string): Promise<boolean> {
    if (sequence === 0) return false
    const { connection, names } = this.#parts
    const message = await connection.message(names.journals, { seq: sequence })
    return message?.headers.includes(id) === true
  }
}

const headersBytes = 512
/** Names the attempt to store a value, by which its writer knows it again. */
const writeHeader = 'Millrace-Write'
