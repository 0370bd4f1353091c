import type { KeyRange, KeyValue } from './port.ts'

/**
 * The second port: where an engine whose servers keep no state for it keeps the state of the claims that it owns, on this
 * machine. It is a cache: the journal and its checkpoint are the truth, from which a store that is empty or left behind
 * is brought up again. So nothing need be forced to the disk, and anybody may delete it while no process uses it.
 *
 * - `apply` is atomic: the change and the mark of how far it brings the state hold together or not at all, also when the
 *   process is killed in the midst. After the machine has gone down, what is there is whole, or nothing is there.
 * - Changes apply in call order. `get` and `range` see every change whose `apply` has resolved.
 * - A store is of one claim of one log. Opening one of the same name for another log gives an empty one, and may remove what
 *   there was of the log before: a process works on one.
 * - Bytes that go in are not changed by anybody; bytes that come out belong to the caller.
 */
export interface StateStore {
  /** How far the state has come; undefined where it is empty, or was being filled when it was left. */
  readonly applied: StateMark | undefined
  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  range(query: KeyRange): Promise<readonly KeyValue[]>
  /** Deletes, then puts. Without a mark the state counts as unfinished until a later change brings one. */
  apply(change: StateChange, mark: StateMark | undefined): Promise<void>
  /** Removes everything, the mark first. */
  clear(): Promise<void>
  /** Ends the use; what was applied stays. */
  close(): Promise<void>
}

/** What a change puts and deletes. */
export interface StateChange {
  readonly puts: readonly KeyValue[]
  readonly deletes: readonly string[]
}

/** A point in a journal: how far a state has come. */
export interface StateMark {
  /** The sequence of the last value that has been applied. */
  readonly sequence: number
  /** The checksum that chains all values up to it, so that a journal that took another course is told apart. */
  readonly chain: number
}

/** Which state a store is of. */
export interface StateName {
  readonly logId: string
  readonly group: string
  readonly partition: number
}

/** The local state stores of one process. */
export interface StateStores {
  /** Opens the store of a claim. One that is open already is not opened twice: close it first. */
  open(name: StateName): Promise<StateStore>
  /** Closes every store. */
  close(): Promise<void>
}
