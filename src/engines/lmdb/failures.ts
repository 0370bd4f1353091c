import { statfsSync } from 'node:fs'
import { MillraceError, messageOf } from '../../core/errors.ts'
import type { Place } from '../../log/port.ts'

/** The errors of the system and of LMDB that mean that there is no room left. */
const fullCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 28, 122, 27, -30792]
const leastFreeBytes = 1024 * 1024

/** The bytes that are free on a folder's disk; without a bound where the system does not say. */
export function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize, blocks } = statfsSync(folder)
    return blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** What a failed write means to a user. A disk that fills up in the middle of a page reports EIO, hence the look at it. */
export function writeFailure(error: unknown, folder: string): MillraceError {
  const code = (error as { code?: unknown }).code
  const full = fullCodes.includes(code) || /MDB_MAP_FULL|No space left/.test(messageOf(error))
  return full || freeBytesOf(folder) < leastFreeBytes ? diskFull(folder, error) : storageFailed(folder, error)
}

/** There is no room on the disk. */
export function diskFull(folder: string, cause?: unknown): MillraceError {
  return new MillraceError('LOG_FULL', 'There is no room for the log on its disk.', {
    where: folder,
    fix: 'Make room on the disk, or bound what is kept with a retention.',
    cause,
  })
}

/** Reading or writing the log's files failed. */
export function storageFailed(folder: string, cause: unknown): MillraceError {
  return new MillraceError('STORAGE_FAILED', `The log could not be read or written: ${messageOf(cause)}`, {
    where: folder,
    fix: 'Check the disk and the permissions of the folder.',
    cause,
  })
}

/** The log was written by a version whose rows are others. */
export function formatUnknown(folder: string, format: unknown, known: number): MillraceError {
  const problem = `The log has format ${String(format)}; this version reads format ${known}.`
  return new MillraceError('STORAGE_FAILED', problem, {
    where: folder,
    fix: 'Open it with the version of Millrace that made it, or begin a new log in another folder.',
    facts: { format, known },
  })
}

/** The log has reached its `maxBytes`. */
export function boundReached(folder: string, maxBytes: number): MillraceError {
  return new MillraceError('LOG_FULL', `The log has reached its bound of ${maxBytes} bytes.`, {
    where: folder,
    fix: 'Raise maxBytes, shorten the retention, or let the handlers that are behind catch up.',
    facts: { maxBytes },
  })
}

/** There is no such topic. */
export function topicUnknown(name: string): MillraceError {
  return new MillraceError('TOPIC_UNKNOWN', `There is no topic '${name}'.`, {
    where: name,
    fix: 'Create the topic first, or check its name.',
    facts: { topic: name },
  })
}

/** The engine was closed. */
export function logClosed(folder: string): MillraceError {
  return new MillraceError('LOG_CLOSED', 'The log is closed.', { where: folder, fix: 'Open it again.' })
}

/** A stored record does not match its checksum. */
export function recordCorrupt(at: Place, offset: number): MillraceError {
  return new MillraceError('RECORD_CORRUPT', 'A stored record does not match its checksum.', {
    where: `${at.topic}/${at.partition}@${offset}`,
    fix: `Read on at offset ${offset + 1}; restore the record from a backup if there is one.`,
    facts: { topic: at.topic, partition: at.partition, offset },
  })
}
