import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFailure } from './failures.ts'

const probeBytes = 64 * 1024

/**
 * Resolves once a file could be written and synced in a folder; throws `LOG_FULL` or `STORAGE_FAILED`. After a failed write
 * it is asked before LMDB is: a disk that stays away for an hour costs LMDB one failure then, and none for every call. Each
 * leaves some memory behind there, and one of a write may end the process.
 */
export async function probeDisk(folder: string): Promise<void> {
  const path = join(folder, 'disk-probe')
  try {
    const file = await open(path, 'w')
    try {
      await file.write(new Uint8Array(probeBytes), 0, probeBytes, 0)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rm(path, { force: true })
  } catch (error) {
    throw writeFailure(error, folder)
  }
}
