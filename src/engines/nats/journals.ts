import type {
  Checkpoint,
  ClaimName,
  Journal,
  JournalAppend,
  JournalValue,
} from '../../log/journal/log-servers.ts'
import type { ReadLimits } from '../../log/port.ts'
import { behindHeaders, lastSequenceIn, removeBelow } from './catalog.ts'
import { type JournalParts, NatsCheckpoints } from './checkpoints.ts'
import { messagesThrough } from './scan.ts'

/** The journal of one claim: a subject of its own in the stream of all journals. */
export class NatsJournal implements Journal {
  readonly #parts: JournalParts
  readonly #subject: string
  readonly #checkpoints: NatsCheckpoints

  constructor(parts: JournalParts, name: ClaimName) {
    this.#parts = parts
    this.#subject = parts.names.journal(name)
    this.#checkpoints = new NatsCheckpoints(parts, name)
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

  putCheckpoint(checkpoint: Checkpoint): Promise<void> {
    return this.#checkpoints.put(checkpoint)
  }

  checkpoint(): Promise<Checkpoint | undefined> {
    return this.#checkpoints.newest()
  }

  async #isOwn(sequence: number, id: string): Promise<boolean> {
    if (sequence === 0) return false
    const { connection, names } = this.#parts
    const message = await connection.message(names.journals, { seq: sequence })
    return message?.headers.includes(id) === true
  }
}

/** Names the attempt to store a value, by which its writer knows it again. */
const writeHeader = 'Millrace-Write'
