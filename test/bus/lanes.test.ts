import { expect, test } from 'vitest'
import { CursorTracker } from '../../src/bus/cursor-tracker.ts'
import { Lanes } from '../../src/bus/lanes.ts'
import { LogRecord } from '../../src/bus/record-cache.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'

test('keys take their turns for ever in the memory of one round, though the line never ends', () => {
  const tracker = new CursorTracker('orders', { cursor: 0, done: [] })
  const lanes = new Lanes()
  for (const key of ['a', 'b', 'c'])
    lanes.push(
      new LogRecord({ topic: 'orders', partition: 0 }, 0, new Uint8Array(), decodeEvent),
      key,
      tracker,
    )
  const before = process.memoryUsage().heapUsed
  const turns: (string | undefined)[] = []
  for (let turn = 0; turn < 3_000_000; turn += 1) {
    const lane = lanes.takeReady()
    if (turn >= 2_999_997) turns.push(lane?.key)
    if (lane !== undefined) lanes.ready(lane)
  }
  expect(turns).toEqual(['a', 'b', 'c'])
  expect(lanes.readyCount).toBe(3)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
})
