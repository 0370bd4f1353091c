import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../core/errors.ts'
import type { LogHashes } from '../../log/verification.ts'

/** What a backup says of itself. It is written last, so a folder that has none is no whole backup. */
export interface Manifest {
  readonly format: 1
  /** When it was made, in RFC 3339. */
  readonly madeAt: string
  /** Which log it is of. */
  readonly of: string
  readonly records: number
  readonly stateValues: number
  readonly hashes: LogHashes
}

/** Where the manifest is in the folder of a backup. */
export const manifestFile = 'millrace-backup.json'

/** Reads what a backup says of itself. `BACKUP_INVALID` for a folder that is none. */
export async function readManifest(folder: string): Promise<Manifest> {
  let manifest: unknown
  try {
    manifest = JSON.parse(await readFile(join(folder, manifestFile), 'utf8'))
  } catch (error) {
    throw backupInvalid(folder, `It has no ${manifestFile} that can be read.`, error)
  }
  const { format, hashes } = (manifest ?? {}) as Partial<Manifest>
  if (format !== 1) throw backupInvalid(folder, `It has format ${String(format)}; this version reads 1.`)
  if (typeof hashes?.records === 'string' && typeof hashes.state === 'string') return manifest as Manifest
  throw backupInvalid(folder, `Its ${manifestFile} lacks the hashes.`)
}

/** The folder is no whole backup. */
export function backupInvalid(folder: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('BACKUP_INVALID', `This is no whole backup. ${why}`, {
    where: folder,
    fix: 'Name a folder that `millrace backup` has written, or restore an earlier backup.',
    cause,
  })
}
