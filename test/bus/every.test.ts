import { describe, expect, it } from 'vitest'
import { every } from '../../src/bus/definitions.ts'
import { bench } from './support.ts'

const second = 1_000
const minute = 60 * second

describe('a schedule', () => {
  it('fires at its times, once each, with an id of its name and the time that was scheduled', async () => {
    const b = bench()
    const fired: string[] = []
    const hourly = every('*/10 * * * *', { name: 'often' }, (tick) => fired.push(tick.id))
    await b.start({ handlers: [hourly], partitions: 4 })
    await b.pass(35 * minute, second)
    expect(fired).toEqual([
      'often@2026-01-01T00:10:00.000Z',
      'often@2026-01-01T00:20:00.000Z',
      'often@2026-01-01T00:30:00.000Z',
    ])
  })

  it('commits a firing and the next due time together', async () => {
    const b = bench()
    const often = every('*/10 * * * *', { name: 'often' }, () => {})
    await b.start({ handlers: [often] })
    for (let step = 0; step < 200; step += 1) {
      await b.pass(10 * second, second)
      const ticks = await b.events('millrace.shop.ticks')
      const { dueMs } = b.state('schedule/').get('schedule/often') as { dueMs: number }
      expect(dueMs).toBe(Date.UTC(2026, 0, 1, 0, 10 * (ticks.length + 1)))
    }
  })

  it('fires once for all that was missed while nothing ran, with the first time that was missed', async () => {
    const b = bench()
    const fired: string[] = []
    const often = every('*/10 * * * *', { name: 'often' }, ({ data }) => fired.push(data.scheduled))
    const first = await b.start({ handlers: [often] })
    await b.pass(11 * minute, second)
    await b.stop(first)
    await b.pass(60 * minute, minute)
    await b.start({ handlers: [often] })
    await b.pass(minute, second)
    expect(fired).toEqual(['2026-01-01T00:10:00.000Z', '2026-01-01T00:20:00.000Z'])
    await b.pass(10 * minute, second)
    expect(fired.at(2)).toBe('2026-01-01T01:20:00.000Z')
  })

  it('counts from now when its pattern has changed', async () => {
    const b = bench()
    const fired: string[] = []
    const named = (pattern: string) =>
      every(pattern, { name: 'often' }, ({ data }) => fired.push(data.scheduled))
    const first = await b.start({ handlers: [named('0 * * * *')] })
    await b.pass(5 * minute, second)
    await b.stop(first)
    await b.pass(120 * minute, minute)
    await b.start({ handlers: [named('30 * * * *')] })
    await b.pass(30 * minute, second)
    expect(fired).toEqual(['2026-01-01T02:30:00.000Z'])
  })

  it('is retried and dead-lettered like any event', async () => {
    const b = bench()
    const attempts: number[] = []
    const often = every('0 * * * *', { name: 'often', retry: { attempts: 3 } }, (_, ctx) => {
      attempts.push(ctx.attempt)
      throw new Error('never')
    })
    await b.start({ handlers: [often] })
    await b.pass(61 * minute, second)
    expect(attempts).toEqual([1, 2, 3])
    expect(await b.deadLetters()).toMatchObject([{ handler: 'often', key: 'often', attempts: 3 }])
  })

  it('fires in the time zone that it names', async () => {
    const b = bench()
    const fired: string[] = []
    const early = every('0 3 * * *', { name: 'early', timezone: 'Asia/Tokyo' }, ({ data }) =>
      fired.push(data.scheduled),
    )
    await b.start({ handlers: [early] })
    await b.pass(24 * 60 * minute, 30 * second)
    expect(fired).toEqual(['2026-01-01T18:00:00.000Z'])
  })

  it('fires once for several processes', async () => {
    const b = bench()
    const fired: string[] = []
    const often = every('*/10 * * * *', { name: 'often' }, ({ data }) => fired.push(data.scheduled))
    const first = await b.start({ handlers: [often], partitions: 4 })
    await b.start({ handlers: [often] })
    await b.pass(15 * minute, second)
    await b.stop(first)
    await b.pass(10 * minute, second)
    expect(fired).toEqual(['2026-01-01T00:10:00.000Z', '2026-01-01T00:20:00.000Z'])
  })

  it('that was gone for a while is not fired for what it fired before', async () => {
    const b = bench()
    const fired: string[] = []
    const often = every('*/10 * * * *', { name: 'often' }, ({ data }) => fired.push(data.scheduled))
    const other = every('0 0 * * *', { name: 'other' }, () => {})
    const first = await b.start({ handlers: [often, other] })
    await b.pass(35 * minute, second)
    await b.stop(first)
    const without = await b.start({ handlers: [other] })
    await b.stop(without)
    expect(fired).toHaveLength(3)
    await b.start({ handlers: [often, other] })
    await b.pass(second, 100)
    expect(fired).toHaveLength(3)
  })
})
