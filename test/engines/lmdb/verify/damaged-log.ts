import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { realRuntime } from '../../../../src/core/real-runtime.ts'
import { BlockMemory, planBlocks, sealBlock } from '../../../../src/engines/lmdb/block.ts'
import { openDatabase, type RawDatabase } from '../../../../src/engines/lmdb/database.ts'
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
  const { offset, timeMs, text } = record
  const records = { offsets: [offset], timesMs: [timeMs], values: [new TextEncoder().encode(text)] }
  const [plan] = planBlocks(records)
  if (plan === undefined) throw new Error('there is no plan')
  return sealBlock(new BlockMemory(plan.sizeBytes), key, records, plan, before)
}

/** A digest of the data file. */
export function digestOf(folder: string): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'data.mdb')))
    .digest('hex')
}
