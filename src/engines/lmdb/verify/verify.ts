import { realpathSync } from 'node:fs'
import { isMillraceError, MillraceError, messageOf } from '../../../core/errors.ts'
import type { Runtime } from '../../../core/runtime.ts'
import { RecordHash, StateHash } from '../../../log/log-hash.ts'
import type { Finding, IsHandlerState, StateCheck, VerificationProgress } from '../../../log/verification.ts'
import { openDatabaseToRead, type RawDatabase } from '../database.ts'
import { storageFailed } from '../failures.ts'
import { allOf, numberIn, stateKeyIn, type Tag } from '../keys.ts'
import { holdFolder } from '../open-log.ts'
import { thisProcess, untilFree } from '../opening.ts'
import { unseal } from '../sealed.ts'
import { checkSettledMetaPages } from '../settled-meta-pages.ts'
import type { Row } from '../store.ts'
import { CatalogCheck } from './catalog-check.ts'
import { damage, objectIn } from './damage.ts'
import { IdsCheck } from './ids-check.ts'
import { checkPages } from './page-check.ts'
import { RecordCheck, type WholeRecord } from './record-check.ts'

/** Options of {@link verifyLmdb}. */
export interface VerifyOptions {
  readonly runtime: Runtime
  /** Verifies what the values of the claims' state say; their checksums are verified in any case. */
  readonly checkState?: StateCheck
  /** Which values of the state count for the hash of it; all of them unless given. */
  readonly isHandlerState?: IsHandlerState
  /** Told again and again how far it is, and once at the end. */
  readonly onProgress?: (progress: VerificationProgress) => void
}

/**
 * Verifies every row of the log in a folder, and gives what it finds as it finds it. Reads one snapshot, holds one row at a
 * time, and changes nothing. Throws `LOG_IN_USE` when a process still has the log open after 2 seconds, and
 * `STORAGE_FAILED` when the folder has no database that can be opened.
 */
export async function* verifyLmdb(folder: string, options: VerifyOptions): AsyncGenerator<Finding, void> {
  let path: string
  try {
    path = await databaseFolder(folder, options.runtime)
  } catch (error) {
    if (!isMillraceError(error, 'LOG_DAMAGED')) throw error
    yield damage('pages-damaged', 'data.mdb', error.message)
    return
  }
  const letGo = holdFolder(path)
  try {
    const database = openToRead(path)
    try {
      const problem = await untilFreeOrUnreadable(database, path, options.runtime)
      if (problem !== undefined) {
        yield* checkPages(path)
        yield damage('pages-damaged', 'data.mdb', problem)
        return
      }
      yield* new Verification(path, database, options).run()
    } catch (error) {
      throw error instanceof MillraceError ? error : storageFailed(path, error)
    } finally {
      await database.close()
    }
  } finally {
    letGo()
  }
}

/** Why LMDB cannot read even who has the log open; undefined once nobody has. */
async function untilFreeOrUnreadable(
  database: RawDatabase,
  path: string,
  runtime: Runtime,
): Promise<string | undefined> {
  try {
    await untilFree(database, path, thisProcess(), runtime)
    return undefined
  } catch (error) {
    if (error instanceof MillraceError) throw error
    return `LMDB cannot read it: ${messageOf(error)}`
  }
}

async function databaseFolder(folder: string, runtime: Runtime): Promise<string> {
  try {
    const path = realpathSync(folder)
    await checkSettledMetaPages(path, runtime)
    return path
  } catch (error) {
    throw error instanceof MillraceError ? error : storageFailed(folder, error)
  }
}

function openToRead(path: string): RawDatabase {
  try {
    return openDatabaseToRead(path)
  } catch (error) {
    throw storageFailed(path, error)
  }
}

/** One reading of all rows. What others refer to comes first: the catalog, then the records, then the rest. */
class Verification {
  readonly #folder: string
  readonly #database: RawDatabase
  readonly #options: VerifyOptions
  readonly #catalog = new CatalogCheck()
  readonly #records: RecordCheck
  readonly #ids: IdsCheck
  readonly #seen: { -readonly [Name in keyof Omit<VerificationProgress, 'hashes'>]: number }
  readonly #recordHash = new RecordHash()
  readonly #stateHash = new StateHash()
  readonly #rows = new Map<Tag, number>()

  constructor(folder: string, database: RawDatabase, options: VerifyOptions) {
    this.#folder = folder
    this.#database = database
    this.#options = options
    this.#records = new RecordCheck(this.#catalog, (record) => this.#hash(record))
    this.#ids = new IdsCheck(this.#catalog)
    this.#seen = { rows: 0, totalRows: 0, records: 0, stateValues: 0, bytes: 0 }
  }

  async *run(): AsyncGenerator<Finding, void> {
    const transaction = this.#database.useReadTransaction()
    // Counted within the transaction, which is the one that is current now.
    this.#seen.totalRows = (this.#database.getStats() as { entryCount: number }).entryCount
    const scan = (tag: Tag, check: (row: Row) => readonly Finding[]) => this.#scan(transaction, tag, check)
    const catalog = this.#catalog
    try {
      yield* checkPages(this.#folder)
      yield* scan('opening', checkOpening)
      yield* scan('log', (row) => catalog.log(row))
      yield* scan('topic', (row) => catalog.topic(row))
      yield* scan('group', (row) => catalog.group(row))
      yield* scan('place', (row) => catalog.place(row))
      yield* scan('block', (row) => this.#records.block(row))
      yield* scan('need', (row) => catalog.need(row))
      yield* scan('epoch', (row) => catalog.epoch(row))
      yield* scan('ids', (row) => this.#ids.row(row))
      yield* scan('state', (row) => this.#checkState(row))
    } finally {
      transaction.done()
    }
    yield* catalog.orphans()
    const others = this.#seen.rows - this.#rowsOf('opening')
    yield* catalog.missing(others > 0, this.#rowsOf('log') > 0)
    yield* this.#checkTotal()
    const hashes = { records: this.#recordHash.digest(), state: this.#stateHash.digest() }
    this.#options.onProgress?.({ ...this.#seen, hashes })
  }

  #hash({ topicId, partition, ...record }: WholeRecord): void {
    const topic = this.#catalog.topics.get(topicId)?.name
    if (topic !== undefined) this.#recordHash.add({ topic, partition }, record)
  }

  /** Pages that are written over may look empty to LMDB, which keeps count of its rows elsewhere. */
  #checkTotal(): Finding[] {
    const { rows, totalRows } = this.#seen
    if (rows === totalRows) return []
    const problem = `LMDB counts ${totalRows} rows, and ${rows} could be read.`
    return [damage('pages-damaged', 'data.mdb', problem)]
  }

  #rowsOf(tag: Tag): number {
    return this.#rows.get(tag) ?? 0
  }

  /** Rows of one kind. Whether the pages that hold them can be walked at all is found by walking them. */
  *#scan(
    transaction: ReturnType<RawDatabase['useReadTransaction']>,
    tag: Tag,
    check: (row: Row) => readonly Finding[],
  ): Generator<Finding, void> {
    try {
      for (const row of this.#database.getRange({ ...allOf(tag), transaction })) {
        this.#count(tag, row)
        yield* check(row)
      }
    } catch (error) {
      const problem = `LMDB cannot read on after ${this.#rowsOf(tag)} of them: ${messageOf(error)}`
      yield damage('pages-damaged', `rows of kind '${tag}'`, problem)
    }
  }

  #count(tag: Tag, { key, value }: Row): void {
    const seen = this.#seen
    seen.rows += 1
    seen.records = this.#records.count
    if (tag === 'state') seen.stateValues += 1
    seen.bytes += key.length + value.length
    this.#rows.set(tag, this.#rowsOf(tag) + 1)
    if (seen.rows % rowsPerReport === 0) this.#options.onProgress?.(seen)
  }

  #checkState({ key, value: sealed }: Row): readonly Finding[] {
    const group = this.#catalog.groupOf(numberIn(key, 1, 4), 'state')
    if (group === undefined) return []
    const partition = numberIn(key, 5, 2)
    const stateKey = stateKeyIn(key)
    const value = unseal(sealed, key)
    if (value === undefined) {
      const where = `${group}/${partition}: ${stateKey}`
      return [damage('state-damaged', where, 'The value does not match its checksum.', stateFix)]
    }
    const row = { group, partition, key: stateKey, value }
    if (this.#options.isHandlerState?.(stateKey) ?? true) this.#stateHash.add(row, row)
    return this.#options.checkState?.(row, (at) => this.#catalog.boundsOf(at.topic, at.partition)) ?? []
  }
}

/** An opening that cannot be read counts as one that is over. */
function checkOpening({ key, value }: Row): readonly Finding[] {
  const fix = 'Nothing, once no process has the log open: the next one to open it writes the row anew.'
  const read = objectIn(value, `opening #${numberIn(key, 1, 6)}`, fix)
  return 'finding' in read ? [read.finding] : []
}

const stateFix = 'Restore the log from a backup, or rebuild this state from its events.'
const rowsPerReport = 1000
