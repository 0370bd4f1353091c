import type { Offset } from '../../log/port.ts'
import type { NewRecord } from './block.ts'

/** A place to which something is appended. Offsets count from where the place ends when that is written. */
export class PlannedPlace {
  readonly topic: string
  readonly partition: number
  /** How many of the places of its plan there are up to it; 0 while it is none of them. */
  nth = 0
  /** What is to be appended. */
  readonly records: NewRecord[] = []
  bytes = 0
  lastTimeMs = Number.NEGATIVE_INFINITY
  /** Once it is written: the number of its topic, and where it ended before. */
  topicId = 0
  before: Offset = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** Where it ends, once it is written. */
  get endOffset(): Offset {
    return this.before + this.records.length
  }
}
