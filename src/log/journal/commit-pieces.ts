import type { JournalStep } from './journal-codec.ts'

/** Puts the pieces of commits together again, along a journal. A commit that is not whole does not count. */
export class CommitPieces {
  #pieces: Uint8Array[] = []
  #epoch = 0

  /** The bytes of a commit, where this value completes one. */
  take(step: JournalStep): Uint8Array | undefined {
    if (step.kind === 'epoch' || step.part === 0) this.#pieces = []
    if (step.kind === 'epoch') return undefined
    const isNext = step.part === this.#pieces.length && (step.part === 0 || step.epoch === this.#epoch)
    this.#epoch = step.epoch
    if (isNext) this.#pieces.push(step.bytes)
    else this.#pieces = []
    if (!isNext || this.#pieces.length < step.parts) return undefined
    const [first] = this.#pieces
    const whole = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    return whole
  }
}
