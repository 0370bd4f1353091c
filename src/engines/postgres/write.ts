import { blocksOf, checksumOf } from './block.ts'
import { arrayOf, columns, integersOf } from './columns.ts'
import type { Connection } from './connection.ts'
import { encodeIds } from './id-block.ts'
import type { Plan } from './plan.ts'
import type { PlannedPlace } from './planned-place.ts'
import { type Receipt, receiptIn } from './receipt.ts'
import type { CommitPart } from './step.ts'

/** What is to be written, and by whom. */
export interface Written {
  readonly plan: Plan
  /** Whether all that it is about is locked already: then it fails where something does not hold. */
  readonly isLocked: boolean
  /** What is committed of claims. */
  readonly commits: readonly CommitPart[]
  /** How many ids there were, as far as it is known that none of the plan's is one of them. */
  readonly knownIds: number
  readonly nowMs: number
  /** All records may hold so many bytes; where it is left out nobody looks. */
  readonly mostBytes?: number | undefined
  readonly writerId: string
  readonly batch: number
  readonly channel: string
}

const parameterCount = 39
const writeText = `select * from write_batch(${Array.from({ length: parameterCount }, (_, index) => `$${index + 1}`).join(', ')})`

/** Has the server write a plan. Undefined where something that was taken for granted does not hold: then nothing is written. */
export async function write(connection: Connection, written: Written): Promise<Receipt | undefined> {
  const { plan } = written
  const { bytes, rows } = packedBlocks(plan.places)
  const parameters = [
    written.isLocked,
    ...columns(claimsOf(written.commits), 3),
    written.mostBytes ?? null,
    ...columns(
      plan.places.map(({ topic, partition, records, bytes: size, lastTimeMs }) => [
        ...[topic, partition, records.length, size, lastTimeMs],
      ]),
      5,
    ),
    bytes,
    ...numbers(rows, 8),
    ...[written.knownIds, encodeIds(plan.ids), integersOf(plan.ids.map(({ low }) => low)), written.nowMs],
    ...valuesOf(plan),
    ...numbers(
      [...plan.needs.values()].map(({ of, place, offset }) => [place.nth, of.groupId, offset]),
      3,
    ),
    ...[written.writerId, written.batch, written.channel],
  ]
  const [row] = await connection.rows(writeText, parameters, 'write')
  return row === undefined || row.ends === null ? undefined : receiptIn(row)
}

function claimsOf(commits: readonly CommitPart[]): number[][] {
  const claims = new Map(
    commits.map((each) => [`${each.groupId}/${each.partition}/${each.epoch}`, each] as const),
  )
  return [...claims.values()].map(({ groupId, partition, epoch }) => [groupId, partition, epoch])
}

/** The keys that are deleted, and those that are put. */
function valuesOf(plan: Plan): unknown[] {
  const values = [...plan.values.values()]
  const puts = packed(
    values.flatMap(({ of, key, value }) => (value === undefined ? [] : [{ of, key, value }])),
  )
  return [
    ...columns(
      values.flatMap(({ of, key, value }) => (value === undefined ? [[of.groupId, of.partition, key]] : [])),
      3,
    ),
    puts.bytes,
    ...columns(
      puts.parts.map(({ part: { of, key, value }, first, size }) => [
        ...[of.groupId, of.partition, key, checksumOf(value), first, size],
      ]),
      6,
    ),
  ]
}

function numbers(rows: readonly (readonly number[])[], count: number): string[] {
  return Array.from({ length: count }, (_, column) => arrayOf(rows.map((row) => row[column] as number)))
}

/** Puts the blocks of places behind one another, each its head and its values. */
function packedBlocks(places: readonly PlannedPlace[]) {
  const bytes: Uint8Array[] = []
  const rows: number[][] = []
  let first = 1
  for (const { nth, records } of places) {
    let appended = 0
    for (const { offset, timeMs, head, values, bytes: size } of blocksOf(records)) {
      appended += size
      rows.push([nth, offset, timeMs, appended, checksumOf(head), first, head.length, size])
      bytes.push(head, ...values)
      first += head.length + size
    }
  }
  return { bytes: Buffer.concat(bytes), rows }
}

/** Puts values behind one another, since bytes of one parameter are sent as they are and those of an array as text. */
function packed<Part extends { readonly value: Uint8Array }>(parts: readonly Part[]) {
  let next = 1
  const placed = parts.map((part) => {
    const first = next
    next += part.value.length
    return { part, first, size: part.value.length }
  })
  return { bytes: Buffer.concat(parts.map(({ value }) => value)), parts: placed }
}
