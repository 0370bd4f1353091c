import { BlockMemory, blockBytes, planBlocks, type Records, recordBytes, sealBlock } from './block.ts'
import { blockKey } from './keys.ts'

/** Where records are staged: their place, and what it had before them. */
export interface StagedAt {
  readonly topicId: number
  readonly partition: number
  /** The end of the place. */
  readonly end: number
  /** The bytes of all its records, removed ones too. */
  readonly bytes: number
}

/** The records that one transaction appends to one place. */
export class StagedRecords implements Records {
  readonly at: StagedAt
  readonly offsets: number[] = []
  readonly timesMs: number[] = []
  readonly values: Uint8Array[] = []
  #bytes = 0

  constructor(at: StagedAt) {
    this.at = at
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds a record, whose offset is above the last one's and its time not below; gives what it counts for. */
  add(offset: number, timeMs: number, value: Uint8Array): number {
    this.offsets.push(offset)
    this.timesMs.push(timeMs)
    this.values.push(value)
    const bytes = recordBytes(value.length)
    this.#bytes += bytes
    return bytes
  }

  /** The value at an offset; undefined where there is none. */
  valueAt(offset: number): Uint8Array | undefined {
    let low = 0
    let high = this.offsets.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.offsets[middle] as number) < offset) low = middle + 1
      else high = middle
    }
    return this.offsets[low] === offset ? this.values[low] : undefined
  }
}

/** The rows of all that is staged. They share one piece of memory, since LMDB asks for the address of each. */
export function sealStaged(staged: readonly StagedRecords[]): { key: Uint8Array; value: Uint8Array }[] {
  const planned = staged.map((records) => ({ records, plans: planBlocks(records) }))
  let sizeBytes = 0
  for (const { plans } of planned) for (const plan of plans) sizeBytes += blockBytes(plan)
  const memory = new BlockMemory(sizeBytes)
  return planned.flatMap(({ records, plans }) => {
    const { topicId, partition } = records.at
    let { end, bytes } = records.at
    return plans.map((plan) => {
      const last = records.offsets[plan.to - 1] as number
      const key = blockKey(topicId, partition, last)
      const value = sealBlock(memory, key, records, plan, { end, bytes })
      end = last + 1
      bytes += plan.bytes
      return { key, value }
    })
  })
}
