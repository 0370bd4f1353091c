import type { PlaceLog } from '../engines/memory/place-log.ts'
import type { Offset, Place } from '../log/port.ts'
import type { Recorder } from './recorder.ts'
import type { SimulatedLog } from './simulated-log.ts'

const everything = { records: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER }

/** Looks at the log after every step, so that the order in which records became visible is known over all places. */
export class LogObserver {
  readonly #log: SimulatedLog
  readonly #recorder: Recorder
  readonly #known = new Map<PlaceLog, Offset>()
  /** When the first record of each commit became visible. */
  readonly #commits = new Map<string, number>()
  #step = 0

  constructor(log: SimulatedLog, recorder: Recorder) {
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
    for (const { name, places } of this.#log.places.topics.values()) {
      for (const [partition, place] of places.entries()) this.#lookAt({ topic: name, partition }, place)
    }
  }

  #lookAt(at: Place, place: PlaceLog): void {
    const known = this.#known.get(place) ?? 0
    if (place.end <= known) return
    const { start, end } = place.bounds
    for (const { offset, value } of place.read(Math.max(start, known), everything).records) {
      this.#recorder.appended(at, offset, value, this.#stepOf(at, offset))
    }
    this.#known.set(place, end)
  }

  /** What one commit appends happens at once, though it may become visible one by one. */
  #stepOf(at: Place, offset: Offset): number {
    const commit = this.#log.commitOf(at, offset)
    if (commit === undefined) return this.#step
    const step = this.#commits.get(commit) ?? this.#step
    this.#commits.set(commit, step)
    return step
  }
}
