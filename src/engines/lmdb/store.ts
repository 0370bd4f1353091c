import { IF_EXISTS } from 'lmdb'
import { isMillraceError, MillraceError, messageOf } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import { backupDatabase } from './backup.ts'
import { openDatabase, type RawDatabase } from './database.ts'
import { probeDisk } from './disk-probe.ts'
import { storageFailed, writeFailure } from './failures.ts'
import { logKey, openingKey } from './keys.ts'
import { type Owner, releasedOpening, takeOpening } from './opening.ts'
import { unseal } from './sealed.ts'
import { sealStaged } from './staged-records.ts'
import type { Writes } from './writes.ts'

/** What a {@link Store} needs of the engine's options. */
export interface StoreOptions {
  readonly runtime: Runtime
  readonly unsafeNoSync?: boolean
  /** How long an owner that lives is given to end, in milliseconds; 2 seconds unless given. */
  readonly patienceMs?: number
}

/** Which rows {@link Store.rows} gives. */
export interface RowRange {
  readonly start: Uint8Array
  readonly end: Uint8Array
  readonly limit?: number
  readonly reverse?: boolean
}

/** A row of the database; the bytes are the caller's. */
export interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * The database of one folder and its one writer. Reads are synchronous, so none holds a snapshot across an await. Writes
 * run on LMDB's own thread, one transaction at a time, each on the condition that nobody has opened the log since: who
 * opens it removes the row of the opening before.
 */
export class Store {
  readonly folder: string
  readonly #unsafeNoSync: boolean
  readonly #incarnation: number
  #database: RawDatabase
  #broken = false
  /** Whether the last write failed: the next one asks the disk first. */
  #suspect = false
  #recovering: Promise<void> | undefined
  /** The write under way. */
  #writing: Promise<void> | undefined
  /** Backups that read the database: it must not be closed under them. */
  readonly #backups = new Set<Promise<void>>()

  private constructor(folder: string, unsafeNoSync: boolean, database: RawDatabase, incarnation: number) {
    this.folder = folder
    this.#unsafeNoSync = unsafeNoSync
    this.#database = database
    this.#incarnation = incarnation
  }

  /** Opens the folder for `owner`, or throws `LOG_IN_USE` or `STORAGE_FAILED`. */
  static async open(
    folder: string,
    { unsafeNoSync = false, runtime, patienceMs }: StoreOptions,
    owner: Owner,
  ): Promise<Store> {
    let database: RawDatabase
    try {
      database = openDatabase(folder, unsafeNoSync)
    } catch (error) {
      throw storageFailed(folder, error)
    }
    try {
      return new Store(
        folder,
        unsafeNoSync,
        database,
        await takeOpening(database, folder, owner, runtime, patienceMs),
      )
    } catch (error) {
      await database.close()
      throw error instanceof MillraceError ? error : storageFailed(folder, error)
    }
  }

  /** The bytes of all pages in use. */
  usedBytes(): number {
    const stats = this.#reading().getStats() as Record<string, number>
    const pages =
      count(stats.treeBranchPageCount) + count(stats.treeLeafPageCount) + count(stats.overflowPages)
    return pages * count(stats.pageSize)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#attempt((database) => database.get(key))
  }

  /** A row of JSON; undefined where there is none. Throws `STORAGE_FAILED` when its checksum does not match. */
  json<T>(key: Uint8Array): T | undefined {
    const sealed = this.get(key)
    return sealed === undefined ? undefined : this.parse<T>(sealed)
  }

  /** The JSON of a stored value. */
  parse<T>(sealed: Uint8Array): T {
    const content = unseal(sealed)
    if (content === undefined) {
      throw storageFailed(this.folder, new Error('a row of its catalog does not match its checksum'))
    }
    return JSON.parse(Buffer.from(content).toString()) as T
  }

  /** Visits rows until `visit` returns false. */
  visit(range: RowRange, visit: (row: Row) => boolean): void {
    this.#attempt((database) => {
      let isEmpty = true
      for (const row of database.getRange(toLmdbRange(range))) {
        isEmpty = false
        if (!visit(row)) return
      }
      if (isEmpty) checkReading(database)
    })
  }

  /** The rows of a range, all in memory. */
  rows(range: RowRange): Row[] {
    const rows: Row[] = []
    this.visit(range, (row) => rows.push(row) > 0)
    return rows
  }

  /** The keys of a range, all in memory. */
  keys(range: RowRange): Uint8Array[] {
    return this.#attempt((database) => {
      const keys = Array.from(database.getKeys(toLmdbRange(range)))
      if (keys.length === 0) checkReading(database)
      return keys
    })
  }

  /**
   * Applies writes as one durable transaction. Rejects with `LOG_FULL`, `STORAGE_FAILED` or `LOG_IN_USE`, and then none
   * of them holds; the database is opened afresh, because LMDB does not go on after some failures. From then on writes are
   * refused without it until the disk takes some again.
   */
  async write(writes: Writes): Promise<void> {
    const writing = this.#write(writes)
    this.#writing = writing
    try {
      await writing
    } finally {
      if (this.#writing === writing) this.#writing = undefined
    }
  }

  async #write(writes: Writes): Promise<void> {
    if (this.#suspect) await probeDisk(this.folder)
    this.#suspect = false
    const rows = [...sealStaged(writes.records), ...writes.rows]
    const database = this.#reading()
    let applied: boolean
    try {
      const written = database.ifVersion(openingKey(this.#incarnation), IF_EXISTS, () =>
        putAll(database, rows),
      )
      begin(database)
      applied = await written
    } catch (error) {
      const cause = await commitError(error)
      this.#broken = true
      this.#suspect = true
      await this.recovery()?.catch(() => undefined)
      throw writeFailure(cause, this.folder)
    }
    if (!applied) {
      throw new MillraceError('LOG_IN_USE', 'Another process has taken over the log.', {
        where: this.folder,
        fix: 'End this process; only one may have a log open.',
      })
    }
  }

  /** As {@link write}, and does what is to be done afterwards, either way. */
  async writeAll(writes: Writes): Promise<void> {
    try {
      await this.recovery()
      if (!writes.empty) await this.write(writes)
    } catch (error) {
      writes.rollBack()
      throw error
    }
    writes.commit()
  }

  /**
   * After a failed write: resolves once the database is open again, or rejects with `STORAGE_FAILED`, and the next call
   * tries again. Undefined while there is nothing to recover.
   */
  recovery(): Promise<void> | undefined {
    if (this.#broken) this.#recovering ??= this.#recover().finally(() => (this.#recovering = undefined))
    return this.#recovering
  }

  /**
   * Makes a call that may read, behind the recovery where there is one. Nothing can be read from when a write fails on LMDB's thread
   * until this one hears of it, so a call that fails with `STORAGE_FAILED`, without a promise, while a write is under way is made
   * once more when that has ended.
   */
  whenOpen<T>(call: () => T | Promise<T>): T | Promise<T> {
    const recovery = this.recovery()
    if (recovery !== undefined) return recovery.then(call)
    try {
      return call()
    } catch (error) {
      if (this.#writing === undefined || !isMillraceError(error, 'STORAGE_FAILED')) throw error
      return this.#writing
        .catch(() => undefined)
        .then(() => this.recovery())
        .then(call)
    }
  }

  async #recover(): Promise<void> {
    try {
      await Promise.allSettled([...this.#backups])
      await this.#database.close()
      this.#database = openDatabase(this.folder, this.#unsafeNoSync)
      this.#broken = false
    } catch (error) {
      throw storageFailed(this.folder, error)
    }
  }

  /** Copies what is committed into a folder; see {@link backupDatabase}. */
  async backup(folder: string): Promise<void> {
    const backup = backupDatabase(this.#reading(), folder, this.usedBytes())
    this.#backups.add(backup)
    try {
      await backup
    } finally {
      this.#backups.delete(backup)
    }
  }

  /** Gives the folder up and closes the database. An opening that cannot be released ends with this process. */
  async close(): Promise<void> {
    try {
      if (this.#suspect) await probeDisk(this.folder)
      const database = this.#reading()
      const key = openingKey(this.#incarnation)
      await database.ifVersion(key, IF_EXISTS, () => database.put(key, releasedOpening))
    } catch (error) {
      await commitError(error)
    }
    await this.#database.close()
  }

  #reading(): RawDatabase {
    if (this.#broken) throw storageFailed(this.folder, new Error('it is being opened again after a failure'))
    return this.#database
  }

  #attempt<T>(read: (database: RawDatabase) => T): T {
    const database = this.#reading()
    try {
      return read(database)
    } catch (error) {
      throw error instanceof MillraceError ? error : storageFailed(this.folder, error)
    }
  }
}

/**
 * Throws where a range is empty only because LMDB reads nothing: from when one of its first two pages, which make a commit hold, could
 * not be written, until it is opened afresh. A range (lmdb 3.5.6) takes that for its end; a single row throws.
 */
function checkReading(database: RawDatabase): void {
  database.get(logKey)
}

function toLmdbRange(range: RowRange): object {
  const { start, end, limit, reverse } = range
  if (reverse !== true) return limit === undefined ? { start, end } : { start, end, limit }
  return { start: end, end: start, reverse: true, ...(limit === undefined ? {} : { limit }) }
}

/** Must not throw: what was put by then would be committed. Keys are copied as they are put. */
function putAll(database: RawDatabase, rows: Writes['rows']): void {
  for (const { key, value } of rows) {
    settled(value === undefined ? database.remove(key) : database.put(key, value))
  }
}

/**
 * Has LMDB's thread begin with what was put together, while this one goes on. It would begin in a turn of the event loop to
 * come, or with the second write of this one; this is one that writes nothing, and shares the transaction.
 */
function begin(database: RawDatabase): void {
  database.batch(() => undefined).catch(() => undefined)
}

/** Inside a transaction the promises of single writes say nothing: the transaction's own does. */
function settled(_write: Promise<boolean>): void {}

/** LMDB gives the reason of a failed commit by a second promise, which it rejects a moment later. */
async function commitError(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<never> }).commitError
  if (reason === undefined) return error
  try {
    return await reason
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(messageOf(cause))
  }
}

function count(value: number | undefined): number {
  return value ?? 0
}
