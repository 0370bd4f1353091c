import { MillraceError } from '../../core/errors.ts'
import type { Change, Entry, Offset } from '../port.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { checksumOf } from './checksum.ts'
import type { ClaimName, JournalValue } from './log-servers.ts'

/** What every value of a journal says beside what it is. */
export interface JournalLink {
  /** The epoch of the owner that appended it. */
  readonly epoch: number
  /** The sequence of the value before it; 0 for the first. */
  readonly previous: number
  /** The checksum of the value before it; 0 for the first. */
  readonly chain: number
  /** Everything in the outbox up to this sequence has been forwarded. */
  readonly forwarded: number
}

/** The first value of an owner: from here on former owners are refused. */
export interface EpochValue {
  readonly kind: 'epoch'
  /** Who took the claim; for people who read the journal. */
  readonly memberId: string
}

/** A piece of an encoded commit. The commit holds once its last piece is there, right behind all the others. */
export interface CommitValue {
  readonly kind: 'commit'
  readonly part: number
  readonly parts: number
  readonly bytes: Uint8Array
}

/** A value of a journal, decoded. */
export type JournalEntry = JournalLink & (EpochValue | CommitValue)

/** A decoded value at its sequence, with the checksum that chains it to the next. */
export type JournalStep = JournalEntry & { readonly sequence: number; readonly checksum: number }

/** A commit as it stands in the journal. */
export interface JournaledCommit {
  readonly puts: Change['puts']
  readonly deletes: Change['deletes']
  readonly appends: readonly Entry[]
  readonly needs: Readonly<Record<string, Offset>>
}

const version = 1
const epochKind = 1
const commitKind = 2
const checksumBytes = 4
/** Flags of an entry. */
const hasId = 1
const isLast = 2

/** The most bytes that a value has beside its piece of a commit. */
export const journalOverheadBytes = 64

/** The bytes of a value, and the checksum in them. */
export function encodeJournalEntry(entry: JournalEntry): {
  readonly value: Uint8Array
  readonly checksum: number
} {
  const size = entry.kind === 'commit' ? entry.bytes.length + journalOverheadBytes : 256
  const writer = new ByteWriter(size)
  writer.u8(version).u8(entry.kind === 'epoch' ? epochKind : commitKind)
  writer.f64(entry.epoch).f64(entry.previous).u32(entry.chain).f64(entry.forwarded)
  if (entry.kind === 'epoch') writer.text(entry.memberId)
  else writer.u32(entry.part).u32(entry.parts).bytes(entry.bytes)
  const written = writer.length
  writer.u32(0)
  const value = writer.end()
  const checksum = checksumOf(value.subarray(0, written))
  new DataView(value.buffer, value.byteOffset).setUint32(written, checksum, true)
  return { value, checksum }
}

/** Decodes a value. `RECORD_CORRUPT` where its checksum fails, or where it is from a newer version. */
export function decodeJournalValue({ sequence, value }: JournalValue, name: ClaimName): JournalStep {
  try {
    const body = value.subarray(0, Math.max(0, value.length - checksumBytes))
    const reader = new ByteReader(value)
    const checksum = new ByteReader(value.subarray(body.length)).u32()
    if (checksumOf(body) !== checksum) throw new RangeError('the checksum does not match')
    const found = reader.u8()
    if (found !== version) throw new RangeError(`version ${found} is not known here`)
    const kind = reader.u8()
    const link = {
      ...{ epoch: reader.f64(), previous: reader.f64(), chain: reader.u32(), forwarded: reader.f64() },
      ...{ sequence, checksum },
    }
    if (kind === epochKind) return { ...link, kind: 'epoch', memberId: reader.text() }
    if (kind !== commitKind) throw new RangeError(`kind ${kind} is not known here`)
    return { ...link, kind: 'commit', part: reader.u32(), parts: reader.u32(), bytes: reader.bytes() }
  } catch (cause) {
    throw corrupt(name, sequence, cause)
  }
}

/** The bytes of a commit, to be put into one value or into several. */
export function encodeCommit({ puts, deletes, appends, needs }: JournaledCommit): Uint8Array {
  const writer = new ByteWriter(sizeOfCommit({ puts, deletes, appends }) + 1024)
  writer.u32(puts.length)
  for (const { key, value } of puts) writer.text(key).bytes(value)
  writer.u32(deletes.length)
  for (const key of deletes) writer.text(key)
  writer.u32(appends.length)
  for (const { topic, partition, timeMs, deduplicationId, comesLast, value } of appends) {
    const flags = (deduplicationId === undefined ? 0 : hasId) + (comesLast ? isLast : 0)
    writer.text(topic).u32(partition).f64(timeMs).u8(flags)
    if (deduplicationId !== undefined) writer.text(deduplicationId)
    writer.bytes(value)
  }
  const needed = Object.entries(needs)
  writer.u32(needed.length)
  for (const [topic, offset] of needed) writer.text(topic).f64(offset)
  return writer.end()
}

/** The commit that {@link encodeCommit} made these bytes from. `RECORD_CORRUPT` where it did not. */
export function decodeCommit(bytes: Uint8Array, name: ClaimName, sequence: number): JournaledCommit {
  try {
    const reader = new ByteReader(bytes)
    const many = <Item>(read: () => Item): Item[] => Array.from({ length: reader.u32() }, read)
    return {
      puts: many(() => ({ key: reader.text(), value: reader.bytes() })),
      deletes: many(() => reader.text()),
      appends: many(() => decodeEntry(reader)),
      needs: Object.fromEntries(many(() => [reader.text(), reader.f64()])),
    }
  } catch (cause) {
    throw corrupt(name, sequence, cause)
  }
}

/** About how many bytes a commit has. */
export function sizeOfCommit({ puts, deletes, appends }: Omit<JournaledCommit, 'needs'>): number {
  let bytes = 0
  for (const { key, value } of puts) bytes += key.length + value.length + 8
  for (const key of deletes) bytes += key.length + 4
  for (const { topic, value, deduplicationId } of appends) {
    bytes += topic.length + (deduplicationId?.length ?? 0) + value.length + 32
  }
  return bytes
}

function decodeEntry(reader: ByteReader): Entry {
  const entry = { topic: reader.text(), partition: reader.u32(), timeMs: reader.f64() }
  const flags = reader.u8()
  const id = flags & hasId ? { deduplicationId: reader.text() } : {}
  const last = flags & isLast ? { comesLast: true } : {}
  return { ...entry, ...id, ...last, value: reader.bytes() }
}

function corrupt({ group, partition }: ClaimName, sequence: number, cause: unknown): MillraceError {
  return new MillraceError('RECORD_CORRUPT', `Value ${sequence} of a journal cannot be read.`, {
    where: `journal of '${group}', partition ${partition}`,
    fix: 'If a newer version of Millrace has written it, update this one; otherwise restore the log from a backup.',
    facts: { group, partition, sequence },
    cause,
  })
}
