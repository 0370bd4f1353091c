import type { Offset } from '../../log/port.ts'
import type { StoredMessage } from './connection.ts'
import { decodeFrame, type Frame, offsetOf, sequenceOf } from './frame.ts'
import type { MovedPart } from './topics.ts'

const mostHints = 16

/**
 * Where the records of a place are whose topic was moved here. Up to one sequence each message says the offset of its first
 * record, and they ascend; offsets behind that follow from the sequence, as they do everywhere, but begin above those that were moved.
 */
export class MovedOffsets {
  readonly #through: number
  /** By so many messages the offsets behind what was moved are ahead of their sequences. */
  readonly shift: number
  /** Where those read on who have read a part of what was moved: the sequence of an offset. */
  readonly #hints = new Map<Offset, number>()

  constructor({ through, shift }: MovedPart) {
    this.#through = through ?? Number.POSITIVE_INFINITY
    this.shift = shift
  }

  /** The smallest offset of what was not moved. */
  get liveFrom(): Offset {
    return Number.isFinite(this.#through) ? offsetOf(this.#through + 1 + this.shift) : this.#through
  }

  /** Whether a message is one of those that were moved. */
  isMoved(sequence: number): boolean {
    return sequence <= this.#through
  }

  /** The offset of a record; undefined for a message that was moved and does not say it. */
  offsetOf(sequence: number, index: number, frame: Frame | undefined): Offset | undefined {
    if (sequence > this.#through) return offsetOf(sequence + this.shift, index)
    return frame?.first === undefined ? undefined : frame.first + index
  }

  /** Remembers where an offset is, or the next one behind it. */
  hint(offset: Offset, sequence: number): void {
    if (offset >= this.liveFrom) return
    this.#hints.delete(offset)
    this.#hints.set(offset, sequence)
    for (const oldest of this.#hints.keys()) {
      if (this.#hints.size <= mostHints) break
      this.#hints.delete(oldest)
    }
  }

  /** The sequence of the first message whose last record is at an offset or behind it, by halving. */
  async sequenceOf(
    offset: Offset,
    messageFrom: (sequence: number) => Promise<StoredMessage | undefined>,
  ): Promise<number> {
    if (offset >= this.liveFrom) return sequenceOf(offset) - this.shift
    const hint = this.#hints.get(offset)
    if (hint !== undefined) return hint
    let low = 1
    let high = Number.isFinite(this.#through) ? this.#through + 1 : Number.MAX_SAFE_INTEGER
    // Where it is not known how many there are, they are few in front of what is asked for: the steps double.
    for (let step = 1; high === Number.MAX_SAFE_INTEGER; step *= 2) {
      const message = await messageFrom(low + step)
      if (message === undefined || lastOf(message) >= offset) high = low + step
      else low = message.sequence + 1
    }
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      const message = await messageFrom(middle)
      if (message === undefined || message.sequence >= high || lastOf(message) >= offset) high = middle
      else low = message.sequence + 1
    }
    this.hint(offset, low)
    return low
  }
}

/** The last offset of a message that was moved; below all others where it is damaged, so that the one behind it is found. */
function lastOf({ data }: StoredMessage): Offset {
  const { first, records } = decodeFrame(data) ?? { first: undefined, records: [] }
  return first === undefined ? Number.NEGATIVE_INFINITY : first + records.length - 1
}
