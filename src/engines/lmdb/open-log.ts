import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { HashKey } from '../../log/half-sip-hash.ts'
import { importUnfinished, logMoved } from '../../log/moving.ts'
import { defaultPartitions, type EngineOptions } from '../../log/port.ts'
import { Catalog, type LogRow, logFormat } from './catalog.ts'
import { formatUnknown, storageFailed } from './failures.ts'
import { Identities } from './identities.ts'
import { logKey } from './keys.ts'
import { inUse, thisProcess } from './opening.ts'
import { sealJson } from './sealed.ts'
import { checkSettledMetaPages } from './settled-meta-pages.ts'
import { Store, type StoreOptions } from './store.ts'
import { Writes } from './writes.ts'

/** Options of `openLmdb`. */
export interface LmdbOptions extends EngineOptions {
  readonly runtime: Runtime
  /** Acknowledges before the data is on the disk: a loss of power may lose what was acknowledged. */
  readonly unsafeNoSync?: boolean
}

/** A log that is open, with what is kept of it in memory. */
export interface OpenedLog {
  readonly store: Store
  readonly catalog: Catalog
  readonly identities: Identities
  close(): Promise<void>
}

/** The folders that this process has open. LMDB itself must not open one twice in a process. */
const openHere = new Set<string>()

const defaultWindowMs = 10 * 60 * 1000
const defaultMaxIds = 5_000_000
const mostPartitions = 65_536

/** Opens or creates the log in a folder and reads what belongs in memory. */
export async function openLog(folder: string, options: LmdbOptions): Promise<OpenedLog> {
  const partitions = options.partitions ?? defaultPartitions
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > mostPartitions) {
    throw new TypeError(`partitions must be a whole number from 1 to ${mostPartitions}, not ${partitions}`)
  }
  const { store, close } = await openStore(folder, options)
  try {
    return { ...(await load(store, partitions, options)), close }
  } catch (error) {
    await close().catch(() => undefined)
    throw error
  }
}

/** A database that is open, with a log in it or not. */
export interface OpenedStore {
  readonly store: Store
  close(): Promise<void>
}

/** Opens or creates the database in a folder, for this process alone. */
export async function openStore(folder: string, options: StoreOptions): Promise<OpenedStore> {
  const path = await prepareFolder(folder, options.runtime)
  const letGo = holdFolder(path)
  try {
    const store = await Store.open(path, options, thisProcess())
    return { store, close: () => store.close().finally(letGo) }
  } catch (error) {
    letGo()
    throw error
  }
}

/** Keeps the rest of this process from opening a folder until the answer is called; throws `LOG_IN_USE` when it is open. */
export function holdFolder(path: string): () => void {
  if (openHere.has(path)) throw inUse(path, process.pid)
  openHere.add(path)
  return () => openHere.delete(path)
}

async function prepareFolder(folder: string, runtime: Runtime): Promise<string> {
  try {
    makeFolder(resolve(folder))
    await checkSettledMetaPages(folder, runtime)
    return realpathSync(folder)
  } catch (error) {
    throw error instanceof MillraceError ? error : storageFailed(folder, error)
  }
}

/** Node.js never comes back from making folders recursively where the system has a folder and makes none in it, as in /proc. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || existsSync(parent)) throw error
    makeFolder(parent)
    makeFolder(path)
  }
}

async function load(
  store: Store,
  partitions: number,
  options: LmdbOptions,
): Promise<Omit<OpenedLog, 'close'>> {
  const log = readLogRow(store) ?? (await createLog(store, { partitions }, options.runtime))
  if (log.movedTo !== undefined) throw logMoved(store.folder, log.movedTo)
  if (log.movedFrom?.finished === false) throw importUnfinished(store.folder, log.movedFrom)
  const catalog = loadCatalog(store, log)
  const identities = new Identities(store, catalog, {
    windowMs: options.deduplicationWindowMs ?? defaultWindowMs,
    maxIds: options.deduplicationMaxIds ?? defaultMaxIds,
    key: log.deduplicationKey,
  })
  identities.load(options.runtime.now())
  await finishDeletions(store, catalog)
  return { store, catalog, identities }
}

/** What the log of a database is; undefined where there is none. `STORAGE_FAILED` for one of another format. */
export function readLogRow(store: Store): LogRow | undefined {
  const log = store.json<LogRow>(logKey)
  if (log === undefined || log.format === logFormat) return log
  throw formatUnknown(store.folder, log.format, logFormat)
}

/** Reads the catalog of a log. */
export function loadCatalog(store: Store, log: LogRow): Catalog {
  const catalog = new Catalog(store, log)
  catalog.load()
  return catalog
}

/** Makes a log in an empty database. */
export async function createLog(
  store: Store,
  made: Pick<LogRow, 'partitions' | 'movedFrom'>,
  runtime: Runtime,
): Promise<LogRow> {
  const log: LogRow = {
    format: logFormat,
    ...made,
    deduplicationKey: randomKey(runtime),
    lastTopicId: 0,
    lastGroupId: 0,
  }
  const writes = new Writes()
  writes.put(logKey, sealJson(log))
  await store.write(writes)
  for (const folder of [store.folder, dirname(store.folder)]) await syncFolder(folder)
  return log
}

/** The last 32 bits of a UUIDv7 are random. */
function randomKey(runtime: Runtime): HashKey {
  const half = () => Number.parseInt(runtime.id().slice(-8), 16)
  return [half(), half()]
}

/** A new file survives a loss of power only when its folder was synced too. Some systems cannot, and need not. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code !== 'EISDIR' && code !== 'EPERM' && code !== 'EACCES' && code !== 'EINVAL') {
      throw storageFailed(folder, error)
    }
  }
}

/** A crash may have come between the end of a topic and the removal of its rows. */
async function finishDeletions(store: Store, catalog: Catalog): Promise<void> {
  for (;;) {
    const writes = new Writes()
    if (!catalog.stageSweep(5000, writes)) return
    await store.write(writes)
    writes.commit()
  }
}
