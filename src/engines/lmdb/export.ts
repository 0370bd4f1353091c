import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Runtime } from '../../core/runtime.ts'
import { importUnfinished, type LogExport, logUnknown, type Move } from '../../log/moving.ts'
import { LmdbContents } from './contents.ts'
import { loadCatalog, openStore, readLogRow } from './open-log.ts'
import { Writes } from './writes.ts'

/**
 * Opens the log in a folder to be moved away. Besides what `LogExport` says, rejects as `openLmdb` does; never creates anything.
 */
export async function exportLmdb(folder: string, options: { readonly runtime: Runtime }): Promise<LogExport> {
  if (!hasDatabase(folder)) throw logUnknown(folder)
  const opened = await openStore(folder, options)
  try {
    const log = readLogRow(opened.store)
    if (log === undefined) throw logUnknown(folder)
    if (log.movedFrom?.finished === false) throw importUnfinished(folder, log.movedFrom)
    return new LmdbExport({ ...opened, catalog: loadCatalog(opened.store, log) })
  } catch (error) {
    await opened.close().catch(() => undefined)
    throw error
  }
}

/** Whether there is a database in a folder. */
export function hasDatabase(folder: string): boolean {
  return existsSync(join(folder, 'data.mdb'))
}

class LmdbExport extends LmdbContents implements LogExport {
  get mark(): Move | undefined {
    return this.opened.catalog.log.movedTo
  }

  async setMark(mark: Move | undefined): Promise<void> {
    const { store, catalog } = this.opened
    const writes = new Writes()
    catalog.stageLog({ movedTo: mark }, writes)
    await store.writeAll(writes)
  }
}
