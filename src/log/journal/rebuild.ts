import { MillraceError } from '../../core/errors.ts'
import type { StateMark, StateStore } from '../state-store.ts'
import { loadCheckpoint } from './checkpoint-codec.ts'
import { CommitPieces } from './commit-pieces.ts'
import { decodeCommit, decodeJournalValue, type JournaledCommit, type JournalStep } from './journal-codec.ts'
import type { ClaimName, Journal } from './log-servers.ts'

/** A commit whose outbox may not have been forwarded, or not as a whole. */
export interface PendingCommit {
  readonly sequence: number
  readonly commit: JournaledCommit
}

/** What a new owner finds. */
export interface Rebuilt {
  readonly mark: StateMark
  readonly pending: readonly PendingCommit[]
  /** What was read of the journal, which the next checkpoint makes needless. */
  readonly replayed: { readonly values: number; readonly sizeBytes: number }
  /** The size of the last checkpoint, if one was loaded. */
  readonly checkpointBytes: number
}

/** What {@link rebuild} works with. */
export interface RebuildOptions {
  readonly name: ClaimName
  readonly journal: Journal
  readonly store: StateStore
  /** The owner's own epoch value: the last one that is read. */
  readonly epoch: JournalStep
}

const readLimits = { records: 256, bytes: 4 * 1024 * 1024 } as const
/** Checkpoints of former owners may still come, and take away what was just about to be read. */
const maxAttempts = 10
const start: StateMark = { sequence: 0, chain: 0 }

/**
 * Brings a local state up to an owner's epoch value: from what the store holds, or from the checkpoint where that is
 * further, along the journal. Gives the commits whose outbox is not known to be forwarded. `NOT_OWNER` where a later owner
 * is found; `LOG_DAMAGED` where the journal has a gap.
 */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const found = await findStart(options)
    const rebuilt = found === undefined ? undefined : await new Replay(options, found).run()
    if (rebuilt !== undefined) return rebuilt
  }
  const { group, partition } = options.name
  throw new MillraceError('LOG_DAMAGED', 'The journal of a claim does not go on from its checkpoint.', {
    where: `journal of '${group}', partition ${partition}`,
    fix: 'Restore the log from a backup.',
    facts: { group, partition },
  })
}

interface Start {
  readonly mark: StateMark
  /** Everything up to here has been forwarded. */
  readonly forwarded: number
  readonly settled: number
  readonly checkpointBytes: number
}

/** Where replay begins; undefined where the checkpoint went away while it was read. */
async function findStart({ journal, store, epoch, name }: RebuildOptions): Promise<Start | undefined> {
  // What the store holds beyond the journal was lost by the servers, and is no part of the log.
  if ((store.applied?.sequence ?? 0) > epoch.previous) await store.clear()
  const checkpoint = await journal.checkpoint()
  const at = checkpoint?.sequence ?? 0
  if (at > epoch.sequence) throw superseded(name, epoch.epoch)
  // A checkpoint is of a state whose outbox has been forwarded.
  const forwarded = Math.max(epoch.forwarded, at)
  const applied = store.applied
  if (applied !== undefined && applied.sequence >= at) {
    return { mark: applied, forwarded, settled: applied.sequence, checkpointBytes: 0 }
  }
  if (checkpoint === undefined) {
    await store.clear()
    return { mark: start, forwarded, settled: 0, checkpointBytes: 0 }
  }
  try {
    const { mark, settled, sizeBytes } = await loadCheckpoint(checkpoint.chunks, store)
    return { mark, forwarded, settled, checkpointBytes: sizeBytes }
  } catch (error) {
    const now = await journal.checkpoint()
    if (now === undefined || now.sequence === at) throw error
    return undefined
  }
}

/** One reading of a journal, up to the owner's epoch value. */
class Replay {
  readonly #options: RebuildOptions
  readonly #start: Start
  readonly #pending: PendingCommit[] = []
  readonly #pieces = new CommitPieces()
  #at: number
  #values = 0
  #sizeBytes = 0

  constructor(options: RebuildOptions, found: Start) {
    this.#options = options
    this.#start = found
    this.#at = Math.min(found.mark.sequence, found.forwarded)
  }

  /** Undefined where the values do not go on from the start: it must be found anew. */
  async run(): Promise<Rebuilt | undefined> {
    const { journal, name, epoch, store } = this.#options
    while (this.#at < epoch.sequence) {
      const values = await journal.read(this.#at, readLimits)
      if (values.length === 0) return undefined
      for (const value of values) {
        const step = decodeJournalValue(value, name)
        if (step.sequence > epoch.sequence) throw superseded(name, epoch.epoch)
        if (!(await this.#follows(step))) return undefined
        this.#values += 1
        this.#sizeBytes += value.value.length
        await this.#take(step)
        this.#at = step.sequence
      }
    }
    if (this.#start.settled > epoch.sequence) throw superseded(name, epoch.epoch)
    const mark = { sequence: epoch.sequence, chain: epoch.checksum }
    await store.apply({ puts: [], deletes: [] }, mark)
    const replayed = { values: this.#values, sizeBytes: this.#sizeBytes }
    return { mark, pending: this.#pending, replayed, checkpointBytes: this.#start.checkpointBytes }
  }

  /** Whether a value is the one right behind what was read, in the course that the store has followed too. */
  async #follows(step: JournalStep): Promise<boolean> {
    const { mark } = this.#start
    if (step.previous !== this.#at) return false
    const isBehindMark = step.previous === mark.sequence && step.chain !== mark.chain
    const isMark = step.sequence === mark.sequence && step.checksum !== mark.chain
    const passesMark = step.previous < mark.sequence && step.sequence > mark.sequence
    if (!isBehindMark && !isMark && !passesMark) return true
    // Servers that lost the end of the journal have gone on in another way.
    await this.#options.store.clear()
    return false
  }

  async #take(step: JournalStep): Promise<void> {
    const { name, store } = this.#options
    const bytes = this.#pieces.take(step)
    if (bytes === undefined) return
    const commit = decodeCommit(bytes, name, step.sequence)
    if (step.sequence > this.#start.mark.sequence) {
      await store.apply(commit, { sequence: step.sequence, chain: step.checksum })
    }
    const { appends, needs } = commit
    if (step.sequence > this.#start.forwarded && (appends.length > 0 || Object.keys(needs).length > 0)) {
      this.#pending.push({ sequence: step.sequence, commit: { ...commit, puts: [], deletes: [] } })
    }
  }
}

function superseded({ group, partition }: ClaimName, epoch: number): MillraceError {
  return new MillraceError('NOT_OWNER', `Epoch ${epoch} of partition ${partition} has been replaced.`, {
    where: `${group}/${partition}`,
    fix: 'Go on with the next claim that the listener is given.',
    facts: { group, partition, epoch },
  })
}
