import { expect, test } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { RecentDurations, summarizeDurations } from '../../src/bus/recent-durations.ts'
import { bench, Counted, publish, statusOf } from './support.ts'

test('nothing is said of no attempts', () => {
  expect(summarizeDurations([])).toBeUndefined()
  expect(summarizeDurations([new RecentDurations()])).toBeUndefined()
})

test('the median and the longest are of what several handlers kept together', () => {
  const [a, b] = [new RecentDurations(), new RecentDurations()]
  for (const durationMs of [30, 1, 2]) a.add(durationMs)
  for (const durationMs of [100, -5]) b.add(durationMs)
  expect(summarizeDurations([a, b])).toEqual({ medianMs: 2, longestMs: 100 })
})

test('what was long ago is forgotten', () => {
  const durations = new RecentDurations()
  durations.add(1000)
  for (let index = 0; index < 64; index += 1) durations.add(7)
  expect(summarizeDurations([durations])).toEqual({ medianMs: 7, longestMs: 7 })
})

test('the status of a handler says how long its attempts take, those that fail among them', async () => {
  const b = bench()
  const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async ({ data }) => {
    await b.runtime.sleep(data.n)
    if (data.n === 40) throw new Error('no')
  })
  const process = await b.start({ handlers: [handler] })
  expect(await statusOf(process)).not.toHaveProperty('durations')
  await publish(process, 'a', 40)
  await publish(process, 'b', 20)
  await b.settle(process)
  expect((await statusOf(process)).durations).toEqual({ medianMs: 20, longestMs: 40 })
})
