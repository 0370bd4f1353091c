import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksumOf } from '../../../src/log/journal/checksum.ts'
import { CommitPieces } from '../../../src/log/journal/commit-pieces.ts'
import {
  decodeCommit,
  decodeJournalValue,
  encodeCommit,
  encodeJournalEntry,
  type JournalEntry,
  type JournaledCommit,
  type JournalStep,
  journalOverheadBytes,
} from '../../../src/log/journal/journal-codec.ts'

const name = { group: 'shop', partition: 3 }
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => new Uint8Array(array))
const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const offset = fc.nat({ max: Number.MAX_SAFE_INTEGER })

const commits: fc.Arbitrary<JournaledCommit> = fc.record({
  puts: fc.array(fc.record({ key: text, value: bytes }), { maxLength: 5 }),
  deletes: fc.array(text, { maxLength: 5 }),
  appends: fc.array(
    fc.record(
      {
        topic: text,
        partition: fc.nat(70_000),
        timeMs: offset,
        value: bytes,
        deduplicationId: text,
        comesLast: fc.constant(true),
      },
      { requiredKeys: ['topic', 'partition', 'timeMs', 'value'] },
    ),
    { maxLength: 5 },
  ),
  needs: fc.dictionary(text, offset, { maxKeys: 3, noNullPrototype: true }),
})

const links = { epoch: offset, previous: offset, chain: fc.nat(2 ** 32 - 1), forwarded: offset }
const entries: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc.record({ ...links, kind: fc.constant('epoch' as const), memberId: text }),
  fc.record({ ...links, kind: fc.constant('commit' as const), part: fc.nat(9), parts: fc.nat(9), bytes }),
)

describe('values of a journal', () => {
  it('a commit comes out as it went in', () => {
    fc.assert(
      fc.property(commits, (commit) => {
        expect(decodeCommit(encodeCommit(commit), name, 1)).toEqual(commit)
      }),
    )
  })

  it('a value comes out as it went in, with its checksum, and is not much longer', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const { value, checksum } = encodeJournalEntry(entry)
        expect(decodeJournalValue({ sequence: 7, value }, name)).toEqual({ ...entry, sequence: 7, checksum })
        if (entry.kind === 'commit')
          expect(value.length).toBeLessThanOrEqual(entry.bytes.length + journalOverheadBytes)
      }),
    )
  })

  it('a value with any bit turned over is RECORD_CORRUPT', () => {
    fc.assert(
      fc.property(entries, fc.nat(), (entry, at) => {
        const { value } = encodeJournalEntry(entry)
        const bit = at % (value.length * 8)
        const damaged = new Uint8Array(value)
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(() => decodeJournalValue({ sequence: 7, value: damaged }, name)).toThrow(
          expect.objectContaining({ code: 'RECORD_CORRUPT' }),
        )
      }),
    )
  })

  it('a value that is cut off is RECORD_CORRUPT', () => {
    const { value } = encodeJournalEntry({
      ...{ kind: 'epoch', epoch: 1, previous: 0, chain: 0, forwarded: 0, memberId: 'a' },
    })
    for (let length = 0; length < value.length; length += 1) {
      expect(() => decodeJournalValue({ sequence: 7, value: value.subarray(0, length) }, name)).toThrow(
        expect.objectContaining({ code: 'RECORD_CORRUPT' }),
      )
    }
  })

  it('the checksum is the CRC-32 of zlib', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
        expect(checksumOf(array)).toBe(crc32(array))
      }),
    )
  })
})

describe('a commit in pieces', () => {
  const step = (part: number, parts: number, epoch = 1, content = `${part}`): JournalStep => ({
    ...{ kind: 'commit', part, parts, epoch, bytes: new TextEncoder().encode(content) },
    ...{ previous: 0, chain: 0, forwarded: 0, sequence: 0, checksum: 0 },
  })
  const epoch: JournalStep = {
    ...{ kind: 'epoch', memberId: 'a', epoch: 2 },
    ...{ previous: 0, chain: 0, forwarded: 0, sequence: 0, checksum: 0 },
  }
  const take = (steps: readonly JournalStep[]) => {
    const pieces = new CommitPieces()
    return steps.map((each) => {
      const whole = pieces.take(each)
      return whole === undefined ? undefined : new TextDecoder().decode(whole)
    })
  }

  it('holds with the last of them', () => {
    expect(take([step(0, 1), step(0, 3), step(1, 3), step(2, 3), step(0, 1)])).toEqual([
      ...['0', undefined, undefined, '012', '0'],
    ])
  })

  it('does not hold where a new owner came between, nor where one is missing', () => {
    expect(take([step(0, 2), epoch, step(1, 2, 2)])).toEqual([undefined, undefined, undefined])
    expect(take([step(0, 2), step(1, 2, 2)])).toEqual([undefined, undefined])
    expect(take([step(0, 3), step(2, 3)])).toEqual([undefined, undefined])
    expect(take([step(1, 2)])).toEqual([undefined])
    expect(take([step(0, 2), epoch, step(0, 1, 2)])).toEqual([undefined, undefined, '0'])
  })
})
