import type { MemoryServersLog } from '../engines/memory/index.ts'
import { CommitPieces } from '../log/journal/commit-pieces.ts'
import { decodeCommit, decodeJournalValue, type JournaledCommit } from '../log/journal/journal-codec.ts'
import type { ClaimName } from '../log/journal/log-servers.ts'
import { KeyValues } from '../log/key-values.ts'

interface Followed {
  readonly values: KeyValues
  /** Commits that are in the journal, and whose outbox has not been forwarded as a whole. */
  waiting: { readonly sequence: number; readonly commit: JournaledCommit }[]
  readonly pieces: CommitPieces
  read: number
}

/**
 * The state of every claim as an owner may see it: that of the commits in its journal whose outbox has been forwarded. Reads
 * journals for itself, and must look before they are trimmed.
 */
export class JournalObserver {
  readonly #log: MemoryServersLog
  readonly #followed = new Map<string, Followed>()

  constructor(log: MemoryServersLog) {
    this.#log = log
  }

  /** The values of a claim as of now. */
  valuesOf(name: ClaimName): KeyValues {
    const id = `${name.partition}/${name.group}`
    const followed = this.#followed.get(id) ?? {
      values: new KeyValues(),
      waiting: [],
      pieces: new CommitPieces(),
      read: 0,
    }
    this.#followed.set(id, followed)
    this.#read(name, followed)
    for (;;) {
      const [first] = followed.waiting
      if (first === undefined || !this.#isForwarded(name, first)) return followed.values
      for (const key of first.commit.deletes) followed.values.delete(key)
      for (const { key, value } of first.commit.puts) followed.values.put(key, value)
      followed.waiting.shift()
    }
  }

  #read(name: ClaimName, followed: Followed): void {
    for (const value of this.#log.journal(name).values) {
      if (value.sequence <= followed.read) continue
      followed.read = value.sequence
      const step = decodeJournalValue(value, name)
      const bytes = followed.pieces.take(step)
      if (bytes === undefined) continue
      try {
        const commit = decodeCommit(bytes, name, step.sequence)
        followed.waiting.push({ sequence: step.sequence, commit })
      } catch {
        // Owners that are not fenced write into one another's commits; other rules find what comes of it.
      }
    }
  }

  #isForwarded(
    name: ClaimName,
    { sequence, commit }: { readonly sequence: number; readonly commit: JournaledCommit },
  ): boolean {
    let first = 0
    let last = commit.appends.filter(({ comesLast }) => !comesLast).length
    return commit.appends.every((entry) => {
      const index = entry.comesLast ? last++ : first++
      const { position } = this.#log.mark(name, entry)
      if (position === undefined) return false
      return position.sequence > sequence || (position.sequence === sequence && position.index >= index)
    })
  }
}
