import type { StateMark, StateStore } from '../state-store.ts'
import { writeCheckpoint } from './checkpoint-codec.ts'
import type { Journal } from './log-servers.ts'
import type { Rebuilt } from './rebuild.ts'

/** What the reading of one value costs beside its bytes, as bytes. */
const valueBytes = 512

/** What {@link Checkpoints} works with. */
export interface CheckpointTools {
  readonly journal: Journal
  readonly store: StateStore
  readonly rebuilt: Rebuilt
  /** A checkpoint is due after so many bytes of journal, or as many as the last one had, whichever is more. */
  readonly journalBytes: number
  /** Aborted when the claim is lost: what is under way is given up. */
  readonly signal: AbortSignal
  /** Runs a task in the background; it never rejects. */
  spawn(name: string, task: () => Promise<void>): void
}

/**
 * Writes checkpoints of a claim's state, so that a new owner reads no more of the journal than about as much as the state
 * itself, and trims the journal behind them. Commits go on meanwhile. One that fails is tried again after as much journal.
 */
export class Checkpoints {
  readonly #tools: CheckpointTools
  #grownBytes: number
  #lastBytes: number
  #running: Promise<void> | undefined

  constructor(tools: CheckpointTools) {
    const { rebuilt } = tools
    this.#tools = tools
    this.#grownBytes = rebuilt.replayed.sizeBytes + rebuilt.replayed.values * valueBytes
    this.#lastBytes = rebuilt.checkpointBytes
  }

  /** Resolves when none is under way. */
  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  /** The journal has grown by a value. */
  grown(sizeBytes: number): void {
    this.#grownBytes += sizeBytes + valueBytes
  }

  /** Everything up to a mark is in the store and has been forwarded: a checkpoint may be put there. */
  settled(mark: StateMark): void {
    const { journalBytes, signal, spawn } = this.#tools
    if (this.#running !== undefined || signal.aborted) return
    if (this.#grownBytes < Math.max(journalBytes, this.#lastBytes)) return
    this.#grownBytes = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = promise
    spawn('checkpoint', async () => {
      try {
        await this.#write(mark)
      } catch {
        // The journal is still whole: nothing is lost but a shorter way for the next owner.
      }
      this.#running = undefined
      resolve()
    })
  }

  async #write(mark: StateMark): Promise<void> {
    const { journal, store, signal } = this.#tools
    let written = 0
    const chunks = writeCheckpoint(store, mark, ({ sizeBytes }) => {
      written = sizeBytes
    })
    await journal.putCheckpoint({ sequence: mark.sequence, chunks: whileHeld(chunks, signal) })
    this.#lastBytes = written
    await journal.trim(mark.sequence)
  }
}

async function* whileHeld(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
