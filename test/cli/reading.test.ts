import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogAccess, ShownRecord } from '../../src/cli/access/port.ts'
import { mergePlaces, newest, type Reading } from '../../src/cli/reading.ts'
import type { Event } from '../../src/core/event.ts'

const places = fc.array(fc.array(fc.nat(20), { maxLength: 8 }), { minLength: 1, maxLength: 4 })

/** A log whose partitions hold events of the given minutes; offsets skip, pages are short. */
function readingOf(minutes: readonly (readonly number[])[]): Reading {
  const all = minutes.map((of, partition) =>
    of.map((minute, index) => {
      const time = new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString()
      return { topic: 't', partition, offset: 5 + 2 * index, event: { time } as Event }
    }),
  )
  const read: LogAccess['read'] = async (at, from) => {
    const records = (all[at.partition] ?? []).filter(({ offset }) => offset >= Number(from)).slice(0, 3)
    return { records, next: (records.at(-1)?.offset ?? Number(from)) + 1 }
  }
  return {
    access: { read } as LogAccess,
    places: all.map((of, partition) => {
      return { topic: 't', partition, start: 5, end: (of.at(-1)?.offset ?? 4) + 1, bytes: 0 }
    }),
  }
}

async function all(records: AsyncIterable<ShownRecord>): Promise<ShownRecord[]> {
  const found: ShownRecord[] = []
  for await (const record of records) found.push(record)
  return found
}

describe('reading several places', () => {
  test('gives every record once, each place in its order', async () => {
    await fc.assert(
      fc.asyncProperty(places, async (minutes) => {
        const records = await all(mergePlaces(readingOf(minutes), 'start'))
        for (const [partition, of] of minutes.entries()) {
          const offsets = records
            .filter((record) => record.partition === partition)
            .map(({ offset }) => offset)
          expect(offsets).toEqual(of.map((_, index) => 5 + 2 * index))
        }
      }),
    )
  })

  test('is in the order of time where each place is', async () => {
    await fc.assert(
      fc.asyncProperty(places, async (minutes) => {
        const sorted = minutes.map((of) => [...of].sort((a, b) => a - b))
        const times = (await all(mergePlaces(readingOf(sorted), 'start'))).map(({ event }) => event.time)
        expect(times).toEqual([...times].sort())
      }),
    )
  })

  test('stops at the limit, and the newest are the last of all', async () => {
    await fc.assert(
      fc.asyncProperty(places, fc.integer({ min: 1, max: 6 }), async (minutes, count) => {
        const reading = readingOf(minutes.map((of) => [...of].sort((a, b) => a - b)))
        const everything = await all(mergePlaces(reading, 'start'))
        expect(await all(mergePlaces(reading, 'start', count))).toEqual(everything.slice(0, count))
        expect(await all(newest(reading, count))).toEqual(everything.slice(-count))
      }),
    )
  })

  test('from the end there is nothing', async () => {
    expect(await all(mergePlaces(readingOf([[1, 2]]), 'end'))).toEqual([])
  })
})
