import type { MemoryLog } from '../engines/memory/index.ts'
import type { PlaceLog } from '../engines/memory/place-log.ts'
import type { Offset, Place } from '../log/port.ts'
import type { Recorder } from './recorder.ts'

const everything = { records: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER }

/** Looks at the log after every step, so that the order in which records became visible is known over all places. */
export class LogObserver {
  readonly #log: MemoryLog
  readonly #recorder: Recorder
  readonly #known = new Map<PlaceLog, Offset>()
  #step = 0

  constructor(log: MemoryLog, recorder: Recorder) {
    this.#log = log
    this.#recorder = recorder
  }

  /** The number of the last look. */
  get step(): number {
    return this.#step
  }

  /** Writes down what has become visible since the last look. */
  look(): void {
    this.#step += 1
    for (const { name, places } of this.#log.topics.values()) {
      for (const [partition, place] of places.entries()) this.#lookAt({ topic: name, partition }, place)
    }
  }

  #lookAt(at: Place, place: PlaceLog): void {
    const known = this.#known.get(place) ?? 0
    if (place.end <= known) return
    const { start, end } = place.bounds
    for (const { offset, value } of place.read(Math.max(start, known), everything).records) {
      this.#recorder.appended(at, offset, value, this.#step)
    }
    this.#known.set(place, end)
  }
}
