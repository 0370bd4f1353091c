import { mkdirSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError, messageOf } from '../../core/errors.ts'
import { openDatabase, type RawDatabase } from './database.ts'
import { diskFull, freeBytesOf, writeFailure } from './failures.ts'
import { allOf } from './keys.ts'
import { releasedOpening } from './opening.ts'

/**
 * Copies what is committed, as of one moment, into a folder that is made for it, while the database goes on. The copy is
 * on the disk when this resolves, and nobody has it open. Rejects with `FOLDER_UNUSABLE` when the folder exists or cannot be
 * made, and with `LOG_FULL` or `STORAGE_FAILED`; then the folder is gone again.
 */
export async function backupDatabase(database: RawDatabase, folder: string, bytes: number): Promise<void> {
  makeFolder(folder)
  try {
    if (freeBytesOf(folder) < bytes) throw diskFull(folder)
    const file = join(folder, 'data.mdb')
    await database.backup(folder, true)
    await release(folder)
    for (const path of [file, folder, dirname(folder)]) await sync(path)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error instanceof MillraceError ? error : writeFailure(error, folder)
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(dirname(folder), { recursive: true })
    mkdirSync(folder)
  } catch (error) {
    throw new MillraceError('FOLDER_UNUSABLE', `The folder cannot be made: ${messageOf(error)}.`, {
      where: folder,
      fix: 'Name a folder that does not exist yet, where this user may write.',
      cause: error,
    })
  }
}

/** The copy says that it is open in the process which it was made of. */
async function release(folder: string): Promise<void> {
  const copy = openDatabase(folder, false)
  try {
    const { start, end } = allOf('opening')
    for (const key of copy.getKeys({ start, end })) copy.putSync(Buffer.from(key), releasedOpening)
  } finally {
    await copy.close()
  }
  await rm(join(folder, 'lock.mdb'), { force: true })
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}
