import { open, type RootDatabase } from 'lmdb'

/** The raw database: binary keys to binary values. */
export type RawDatabase = RootDatabase<Uint8Array, Uint8Array>

/** Options that the types of the library leave out. */
const untyped = {
  /** With the second write of a turn LMDB's thread begins. */
  txnStartThreshold: 1,
  /**
   * Of the pages that are free so many are looked at. LMDB keeps them in order, and moves those behind one that it adds: of the 50,000 that
   * it takes otherwise that costs more than all else once records of many sizes are trimmed, 100 times what appending takes.
   */
  maxFreeSpaceToLoad: 2_000,
}

/**
 * The size of the pages of a new database, in bytes; one that is there keeps its own. Most blocks of records fit into one such page. With
 * LMDB's 4 KiB it takes several that follow one another, and once retention frees them, finding some that do cost LMDB's thread more
 * than all the rest.
 */
export const newPageBytes = 16_384

/** Opens the raw database of a folder. A commit is visible only after its fsync: `overlappingSync` must stay off. */
export function openDatabase(folder: string, unsafeNoSync: boolean): RawDatabase {
  return open<Uint8Array, Uint8Array>({
    path: folder,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    pageSize: newPageBytes,
    eventTurnBatching: false,
    ...untyped,
    noSync: unsafeNoSync,
  })
}

/** Opens the raw database of a folder that has one, to read only: nothing in its data file changes. */
export function openDatabaseToRead(folder: string): RawDatabase {
  return open<Uint8Array, Uint8Array>({
    path: folder,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    readOnly: true,
  })
}
