import { KeyValues } from './key-values.ts'
import type { KeyRange, KeyValue } from './port.ts'
import type { StateChange, StateMark, StateName, StateStore, StateStores } from './state-store.ts'

/**
 * Local state stores in memory: what a process keeps of them ends with it, unless the object is handed on. They are for
 * tests, and for states that are known to be small.
 */
export class MemoryStateStores implements StateStores {
  readonly #stores = new Map<string, MemoryStateStore>()

  async open({ logId, group, partition }: StateName): Promise<StateStore> {
    const name = JSON.stringify([logId, group, partition])
    let store = this.#stores.get(name)
    if (store === undefined) {
      store = new MemoryStateStore()
      this.#stores.set(name, store)
    }
    return store
  }

  async close(): Promise<void> {}
}

class MemoryStateStore implements StateStore {
  #values = new KeyValues()
  #applied: StateMark | undefined

  get applied(): StateMark | undefined {
    return this.#applied
  }

  async get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return keys.map((key) => this.#values.get(key))
  }

  async range(query: KeyRange): Promise<readonly KeyValue[]> {
    return this.#values.range(query)
  }

  async apply({ puts, deletes }: StateChange, mark: StateMark | undefined): Promise<void> {
    for (const key of deletes) this.#values.delete(key)
    for (const { key, value } of puts) this.#values.put(key, value)
    this.#applied = mark
  }

  async clear(): Promise<void> {
    this.#applied = undefined
    this.#values = new KeyValues()
  }

  async close(): Promise<void> {}
}
