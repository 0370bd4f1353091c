import type { Checkpoint, ClaimName } from '../../log/journal/log-servers.ts'
import type { Catalog } from './catalog.ts'
import type { Connection } from './connection.ts'
import { isAway } from './failures.ts'
import { type FormerNote, formerChunks, removeFormer } from './former-checkpoints.ts'
import { type Names, token } from './names.ts'
import type { Objects } from './objects.ts'

/** What journals and their checkpoints work with. */
export interface JournalParts {
  readonly connection: Connection
  readonly names: Names
  readonly catalog: Catalog
  readonly objects: Objects
}

/** Where a claim's newest checkpoint is. */
interface CheckpointNote {
  /** The journal sequence that it was put under. */
  readonly sequence: number
  /** Begins with the sequence, and names this checkpoint and no other. */
  readonly id: string
  /** How the names of its objects end, in order. */
  readonly objects: readonly string[]
}

/**
 * So large the objects are that a checkpoint is made of. Each is held in memory as a whole: one that could not be put can be put
 * again, and the client library reads ahead as far as an object goes.
 */
const objectBytes = 4 * 1024 * 1024

/**
 * The checkpoints of one claim. Each has objects of its own; a note in the catalog, changed by compare-and-set, says which are the
 * newest, so that an owner of before never puts an older one in place of a newer one.
 */
export class NatsCheckpoints {
  readonly #parts: JournalParts
  readonly #name: ClaimName

  constructor(parts: JournalParts, name: ClaimName) {
    this.#parts = parts
    this.#name = name
  }

  /** As `Journal.putCheckpoint`. */
  async put({ sequence, chunks }: Checkpoint): Promise<void> {
    const { connection, catalog } = this.#parts
    const id = `${sequence}-${connection.runtime.id().slice(-12)}`
    const note: CheckpointNote = { sequence, id, objects: await this.#putObjects(id, chunks) }
    let newest: CheckpointNote | FormerNote = note
    let isFirst = false
    await catalog.change<CheckpointNote | FormerNote>(this.#key, (before) => {
      newest = before !== undefined && before.sequence >= sequence ? before : note
      isFirst ||= before === undefined || 'pieces' in before
      return newest === note ? note : undefined
    })
    try {
      await this.#removeAllBut(newest, id)
      if (isFirst) await removeFormer(this.#parts, this.#name, newest.sequence)
      await this.#parts.objects.sweep()
    } catch {
      // The checkpoint is there; what is left of others goes with the next one.
    }
  }

  /** As `Journal.checkpoint`. */
  async newest(): Promise<Checkpoint | undefined> {
    const found = await this.#parts.catalog.get<CheckpointNote | FormerNote>(this.#key)
    if (found === undefined) return undefined
    const note = found.value
    const isFormer = 'pieces' in note
    const chunks = isFormer ? formerChunks(this.#parts, this.#name, note) : this.#chunks(note)
    return { sequence: note.sequence, chunks }
  }

  get #key(): string {
    return this.#parts.names.key('checkpoint', token(this.#name.group), String(this.#name.partition))
  }

  /** How the names of a checkpoint's objects begin. */
  #objectsOf(id: string): string {
    return `${this.#parts.names.objectsOf(this.#name)}${id}.`
  }

  async #putObjects(id: string, chunks: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
    const { objects } = this.#parts
    const prefix = this.#objectsOf(id)
    const put: string[] = []
    try {
      for await (const content of inObjects(chunks)) {
        put.push((await objects.put(prefix, content)).slice(prefix.length))
      }
    } catch (error) {
      // Where servers are away they are not waited for again: the next checkpoint takes away what is left.
      const isOwn = (name: string) => name.startsWith(prefix)
      if (!isAway(error)) await objects.remove(isOwn).catch(() => undefined)
      throw error
    }
    return put
  }

  async *#chunks({ id, objects }: CheckpointNote): AsyncGenerator<Uint8Array> {
    for (const each of objects) {
      const content = await this.#parts.objects.get(`${this.#objectsOf(id)}${each}`)
      if (content === undefined) throw new Error('this checkpoint was replaced while it was read')
      yield content
    }
  }

  /** Removes the objects that nobody can ask for any more, of whoever began to put them; `own` names the checkpoint of this process. */
  #removeAllBut(newest: CheckpointNote | FormerNote, own: string): Promise<void> {
    const prefix = this.#parts.names.objectsOf(this.#name)
    return this.#parts.objects.remove((name) => {
      if (!name.startsWith(prefix)) return false
      const [id = '', object = ''] = name.slice(prefix.length).split('.')
      if (Number.parseInt(id, 10) < newest.sequence) return true
      if (id !== own) return false
      return newest.id !== own || 'pieces' in newest || !newest.objects.includes(object)
    })
  }
}

/** The same bytes in pieces of the size of an object. */
async function* inObjects(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const piece = chunk.subarray(from, from + objectBytes - sizeBytes)
      held.push(piece)
      sizeBytes += piece.length
      from += piece.length
      if (sizeBytes < objectBytes) continue
      yield Buffer.concat(held)
      held = []
      sizeBytes = 0
    }
  }
  if (sizeBytes > 0) yield Buffer.concat(held)
}
