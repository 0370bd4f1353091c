import type { KeyRange, KeyValue } from '../../log/port.ts'
import type { StateChange, StateMark, StateStore } from '../../log/state-store.ts'
import { storageFailed } from './failures.ts'
import { allOf, epochKey, stateKey, stateKeyIn } from './keys.ts'
import { seal, sealJson, unseal } from './sealed.ts'
import type { RowRange, Store } from './store.ts'
import { Writes } from './writes.ts'

/** So many values are removed at once. */
const clearedAtOnce = 1_000

/** Removes the rows of a range, however many they are. */
export async function removeAll(store: Store, range: RowRange): Promise<void> {
  for (;;) {
    const keys = store.keys({ ...range, limit: clearedAtOnce })
    if (keys.length === 0) return
    const writes = new Writes()
    for (const key of keys) writes.remove(key)
    await store.writeAll(writes)
  }
}

/** The local state of one claim; its mark is in the row that a log has its epoch in. */
export class LmdbStateStore implements StateStore {
  readonly #store: Store
  readonly #groupId: number
  readonly #partition: number
  #applied: StateMark | undefined

  constructor(store: Store, groupId: number, partition: number) {
    this.#store = store
    this.#groupId = groupId
    this.#partition = partition
    this.#applied = store.json<StateMark>(epochKey(groupId, partition))
  }

  get applied(): StateMark | undefined {
    return this.#applied
  }

  async get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return keys.map((key) => {
      const row = stateKey(this.#groupId, this.#partition, key)
      const sealed = this.#store.get(row)
      return sealed === undefined ? undefined : this.#value(row, sealed)
    })
  }

  async range({ from, to, limit }: KeyRange): Promise<readonly KeyValue[]> {
    const start = stateKey(this.#groupId, this.#partition, from)
    const end = stateKey(this.#groupId, this.#partition, to)
    if (limit < 1 || Buffer.compare(start, end) >= 0) return []
    return this.#store.rows({ start, end, limit }).map(({ key, value }) => {
      return { key: stateKeyIn(key), value: this.#value(key, value) }
    })
  }

  async apply({ puts, deletes }: StateChange, mark: StateMark | undefined): Promise<void> {
    const writes = new Writes()
    for (const key of deletes) writes.remove(stateKey(this.#groupId, this.#partition, key))
    for (const { key, value } of puts) {
      const row = stateKey(this.#groupId, this.#partition, key)
      writes.put(row, seal(value, row))
    }
    const markKey = epochKey(this.#groupId, this.#partition)
    if (mark === undefined) writes.remove(markKey)
    else writes.put(markKey, sealJson(mark))
    await this.#store.writeAll(writes)
    this.#applied = mark
  }

  async clear(): Promise<void> {
    await this.apply({ puts: [], deletes: [] }, undefined)
    await removeAll(this.#store, allOf('state', [this.#groupId, 4], [this.#partition, 2]))
  }

  async close(): Promise<void> {}

  /** A value that is damaged makes the whole state count as empty: its next owner brings it up again. */
  #value(row: Uint8Array, sealed: Uint8Array): Uint8Array {
    const value = unseal(sealed, row)
    if (value !== undefined) return new Uint8Array(value)
    this.#applied = undefined
    throw storageFailed(this.#store.folder, new Error('a value does not match its checksum'))
  }
}
