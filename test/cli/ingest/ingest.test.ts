import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogAccess } from '../../../src/cli/access/port.ts'
import { MillraceError } from '../../../src/core/errors.ts'
import { forgetfulLog, numbers, records, run } from './support.ts'

function line(n: number): string {
  return JSON.stringify({ n, key: `k${n % 3}` })
}

function input(count: number, isBad: (n: number) => boolean = () => false): string {
  return Array.from({ length: count }, (_, n) => `${isBad(n) ? `bad ${n}` : line(n)}\n`).join('')
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

/** Fails the append of one turn, before or after it has taken effect. */
function failing(access: LogAccess, turn: number, afterwards: boolean): LogAccess {
  let turns = 0
  return {
    ...access,
    async append(events, topic) {
      turns += 1
      if (turns !== turn) return access.append(events, topic)
      if (afterwards) await access.append(events, topic)
      throw new MillraceError('LOG_CLOSED', 'The process has died.')
    },
  }
}

/** Refuses events as a schema would, with or without saying which one it was. */
function refusing(access: LogAccess, isRefused: (n: number) => boolean, namesIndex: boolean): LogAccess {
  return {
    ...access,
    async append(events, topic) {
      const index = events.findIndex(({ data }) => isRefused((data as { readonly n: number }).n))
      if (index === -1) return access.append(events, topic)
      throw new MillraceError('DATA_INVALID', 'It does not match.', namesIndex ? { facts: { index } } : {})
    },
  }
}

describe('ingesting', () => {
  test('adds every line once, in order, with the content of the line', async () => {
    const log = forgetfulLog()
    const { counts } = await run(input(10), log)
    expect(counts).toEqual({ lines: 10, added: 10, known: 0, skipped: 0 })
    expect(await numbers(log.access)).toEqual(upTo(10))
    for (const partition of [0, 1]) {
      const of = (await records(log.access)).filter((record) => record.partition === partition)
      const given = of.map(({ event }) => (event.data as { readonly n: number }).n)
      expect(given).toEqual([...given].sort((a, b) => a - b))
    }
  })

  test('a second run of the same input adds nothing, however many lines it has', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(30), fc.constantFrom('stop', 'skip'), async (count, onError) => {
        const log = forgetfulLog()
        await run(input(count), log, { onError })
        const { counts } = await run(input(count), log, { onError })
        expect(counts).toEqual({ lines: count, added: 0, known: count, skipped: 0 })
        expect(await numbers(log.access)).toEqual(upTo(count))
      }),
    )
  })

  test('what was ingested is found however little of the log a read gives', async () => {
    const log = forgetfulLog()
    await run(input(30), log)
    const read: LogAccess['read'] = (at, from) => log.access.read(at, from, 2)
    const { counts } = await run(input(30), { ...log, access: { ...log.access, read } })
    expect(counts).toMatchObject({ added: 0, known: 30 })
  })

  test('an input that grew adds exactly what is new, wherever it was cut before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(40), { maxLength: 4 }), async (cuts) => {
        const log = forgetfulLog()
        for (const count of [...cuts.sort((a, b) => a - b), 40]) await run(input(count), log)
        expect(await numbers(log.access)).toEqual(upTo(40))
      }),
    )
  })

  test('runs that die at any append, before or after it took effect, leave exactly the rest to the next', async () => {
    const bad = fc.uniqueArray(fc.nat(29), { maxLength: 6 })
    const deaths = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.boolean()), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(bad, bad, deaths, fc.boolean(), async (unparsable, refused, died, namesIndex) => {
        const log = forgetfulLog()
        const text = input(30, (n) => unparsable.includes(n))
        const access = refusing(log.access, (n) => refused.includes(n), namesIndex)
        for (const [turn, afterwards] of died) {
          await run(text, { ...log, access: failing(access, turn, afterwards) })
        }
        const last = await run(text, { ...log, access })
        expect(last.error).toBeUndefined()
        const outside = (n: number) => unparsable.includes(n) || refused.includes(n)
        expect(await numbers(log.access)).toEqual(upTo(30).filter((n) => !outside(n)))
        expect(last.skipped.map(({ facts }) => facts.line)).toEqual(
          upTo(30)
            .filter(outside)
            .map((n) => n + 1),
        )
      }),
    )
  })

  test('a line that was skipped is offered again by the next run, and added when it passes then', async () => {
    const log = forgetfulLog()
    const refused = (n: number) => n % 5 === 2
    await run(input(20), { ...log, access: refusing(log.access, refused, true) })
    expect(await numbers(log.access)).toEqual(upTo(20).filter((n) => !refused(n)))
    const second = await run(input(20), log)
    expect(second.counts).toEqual({ lines: 20, added: 4, known: 16, skipped: 0 })
    const third = await run(input(20), log)
    expect(third.counts).toEqual({ lines: 20, added: 0, known: 20, skipped: 0 })
    expect(await numbers(log.access)).toEqual(upTo(20))
  })

  test.each([
    ['does not parse', 'JSON_INVALID'],
    ['is refused', 'DATA_INVALID'],
  ])(
    'with stop, a line that %s ends the run behind the lines before it, with its number',
    async (how, code) => {
      const log = forgetfulLog()
      const access = how === 'is refused' ? refusing(log.access, (n) => n === 6, false) : log.access
      const text = input(12, (n) => how === 'does not parse' && n === 6)
      const { error } = await run(text, { ...log, access }, { onError: 'stop' })
      expect(error).toMatchObject({ code, facts: { line: 7 }, where: expect.stringMatching(/^line 7/) })
      expect(await numbers(log.access)).toEqual(upTo(6))
      const corrected = await run(input(12), log, { onError: 'stop' })
      expect(corrected.counts).toEqual({ lines: 12, added: 6, known: 6, skipped: 0 })
      expect(await numbers(log.access)).toEqual(upTo(12))
    },
  )

  test('another mapping of the same input is another input', async () => {
    const log = forgetfulLog()
    await run(input(3), log)
    const { counts } = await run(input(3), log, { mapping: { type: 'test.other', topic: 't' } })
    expect(counts).toMatchObject({ added: 3, known: 0 })
  })

  test('a type that the application does not know is the fault of no line: it stops the run', async () => {
    const log = forgetfulLog()
    const access: LogAccess = {
      ...log.access,
      async append() {
        throw new MillraceError('EVENT_TYPE_UNKNOWN', 'No such type.')
      },
    }
    const { error, skipped } = await run(input(3), { ...log, access })
    expect(error).toMatchObject({ code: 'EVENT_TYPE_UNKNOWN' })
    expect(skipped).toEqual([])
  })

  test('a line over the bound is refused like any other', async () => {
    const log = forgetfulLog()
    const text = `${line(0)}\n${JSON.stringify({ n: 1, key: 'x'.repeat(2000) })}\n${line(2)}\n`
    const { counts, skipped } = await run(text, log)
    expect(counts).toEqual({ lines: 3, added: 2, known: 0, skipped: 1 })
    expect(skipped).toMatchObject([{ code: 'EVENT_TOO_LARGE', facts: { line: 2 } }])
  })
})
