import type { MemoryLog } from '../engines/memory/index.ts'
import type { Recorder } from './recorder.ts'

const everything = { records: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER }

/** Looks at the log after every step, so that the order in which records became visible is known over all places. */
export class LogObserver {
  readonly #log: MemoryLog
  readonly #partitions: number
  readonly #recorder: Recorder
  readonly #known = new Map<string, number>()
  #step = 0

  constructor(log: MemoryLog, partitions: number, recorder: Recorder) {
    this.#log = log
    this.#partitions = partitions
    this.#recorder = recorder
  }

  /** The number of the last look. */
  get step(): number {
    return this.#step
  }

  /** Writes down what has become visible since the last look. */
  look(): void {
    this.#step += 1
    for (const { name: topic } of this.#log.listTopics()) {
      for (let partition = 0; partition < this.#partitions; partition += 1) this.#lookAt(topic, partition)
    }
  }

  #lookAt(topic: string, partition: number): void {
    const name = `${topic}/${partition}`
    const place = this.#log.place({ topic, partition })
    const known = this.#known.get(name) ?? 0
    const { start, end } = place.bounds
    if (end <= known) return
    for (const { offset, value } of place.read(Math.max(start, known), everything).records) {
      this.#recorder.appended({ topic, partition }, offset, value, this.#step)
    }
    this.#known.set(name, end)
  }
}
