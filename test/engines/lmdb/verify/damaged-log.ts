import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { realRuntime } from '../../../../src/core/real-runtime.ts'
import { openDatabase, type RawDatabase } from '../../../../src/engines/lmdb/database.ts'
import { numberIn } from '../../../../src/engines/lmdb/keys.ts'
import { StagedRecords, sealStaged } from '../../../../src/engines/lmdb/staged-records.ts'
import { type VerifyOptions, verifyLmdb } from '../../../../src/engines/lmdb/verify/verify.ts'
import type { Finding } from '../../../../src/log/verification.ts'

/** Everything that a verification of a folder finds. */
export async function findingsOf(folder: string, options: Partial<VerifyOptions> = {}): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const finding of verifyLmdb(folder, { runtime: realRuntime(), ...options }))
    findings.push(finding)
  return findings
}

/** Changes rows of a log that is closed, past the engine. */
export async function tamper(
  folder: string,
  change: (database: RawDatabase) => Promise<unknown>,
): Promise<void> {
  const database = openDatabase(folder, false)
  await change(database)
  await database.close()
}

/** Flips one bit of a row. */
export function flip(key: Uint8Array, position: number): (database: RawDatabase) => Promise<unknown> {
  return (database) => {
    const value = Buffer.from(rowOf(database, key))
    value.writeUInt8(value.readUInt8(position) ^ 1, position)
    return database.put(key, value)
  }
}

/** The bytes of a row that must be there. */
export function rowOf(database: RawDatabase, key: Uint8Array): Uint8Array {
  const value = database.get(key)
  if (value === undefined) throw new Error('there is no such row')
  return value
}

/** The bytes of a block of one record, by its key. */
export function blockOfOne(
  key: Uint8Array,
  record: { offset: number; timeMs: number; text: string },
  before: { end: number; bytes: number },
): Uint8Array {
  const staged = new StagedRecords({
    topicId: numberIn(key, 1, 4),
    partition: numberIn(key, 5, 2),
    ...before,
  })
  staged.add(record.offset, record.timeMs, new TextEncoder().encode(record.text))
  const [row] = sealStaged([staged])
  if (row === undefined) throw new Error('there is no block')
  return row.value
}

/** A digest of the data file. */
export function digestOf(folder: string): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'data.mdb')))
    .digest('hex')
}
