import { open, type RootDatabase } from 'lmdb'

/** The raw database: binary keys to binary values. */
export type RawDatabase = RootDatabase<Uint8Array, Uint8Array>

/** With the second write of a turn LMDB's thread begins. The library documents this option, its types leave it out. */
const beginning = { txnStartThreshold: 1 }

/** Opens the raw database of a folder. A commit is visible only after its fsync: `overlappingSync` must stay off. */
export function openDatabase(folder: string, unsafeNoSync: boolean): RawDatabase {
  return open<Uint8Array, Uint8Array>({
    path: folder,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    eventTurnBatching: false,
    ...beginning,
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
