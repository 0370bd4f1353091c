import { compareUtf8 } from '../../log/key-values.ts'
import type {
  ClaimContents,
  ClaimName,
  IdPage,
  LogContents,
  PlaceEnds,
  RememberedId,
  StateLimits,
} from '../../log/moving.ts'
import type { Batch, KeyValue, Offset, Place, ReadLimits, Topic } from '../../log/port.ts'
import type { MemoryLog } from './memory-log.ts'

/** Above every key of valid Unicode. */
const aboveAllKeys = '\u{10ffff}'.repeat(400)

/** All that a {@link MemoryLog} holds. */
export class MemoryContents implements LogContents {
  protected readonly log: MemoryLog

  constructor(log: MemoryLog) {
    this.log = log
  }

  get partitions(): number {
    return this.log.open()
  }

  async listTopics(): Promise<readonly Topic[]> {
    return this.log.listTopics()
  }

  async ends(at: Place): Promise<PlaceEnds> {
    return this.log.place(at).ends
  }

  async read(at: Place, from: Offset, limits: ReadLimits): Promise<Batch> {
    return this.log.place(at).read(from, limits)
  }

  async listGroups(): Promise<readonly string[]> {
    return [...this.log.groups.keys()].sort(compareUtf8)
  }

  async claim({ group, partition }: ClaimName): Promise<ClaimContents> {
    const held = this.log.group(group)
    return { epoch: held.epoch(partition), needs: Object.fromEntries(held.state(partition).needs) }
  }

  async state(
    { group, partition }: ClaimName,
    after: string | undefined,
    limits: StateLimits,
  ): Promise<readonly KeyValue[]> {
    const from = after === undefined ? '' : `${after}\0`
    const { values } = this.log.group(group).state(partition)
    const found = values.range({ from, to: aboveAllKeys, limit: Math.max(1, limits.values) })
    let bytes = 0
    const past = found.findIndex(({ value }, index) => {
      bytes += value.length
      return index > 0 && bytes > limits.bytes
    })
    return past < 0 ? found : found.slice(0, past)
  }

  async ids(from: number, limit: number): Promise<IdPage> {
    const ids: RememberedId[] = []
    let position = 0
    for (const { name } of this.log.listTopics()) {
      for (const [deduplicationId, first] of this.log.topics.get(name)?.seen ?? []) {
        position += 1
        if (position > from && ids.length < limit) ids.push({ topic: name, ...first, deduplicationId })
      }
    }
    return { ids, next: from + ids.length }
  }

  async close(): Promise<void> {}
}
