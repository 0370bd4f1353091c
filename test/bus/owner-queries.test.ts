import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { command } from '../../src/core/command.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import { type Bench, bench, Counted, gate, publish, statusOf, upTo } from './support.ts'

const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

const count = on(Counted, { name: 'count', state: { total: z.number().default(0) } }, async ({ data }, ctx) =>
  ctx.state.total.set((await ctx.state.total.get()) + data.n),
)

const Double = command('test.double', {
  schema: z.object({ key: z.string(), n: z.number() }),
  key: ({ key }) => key,
  result: z.number(),
})

/** Two processes on one log, each of which owns some of its partitions. */
async function two(
  b: Bench,
  handlers: Parameters<Bench['start']>[0] & object,
): Promise<readonly [RunningApp, RunningApp]> {
  const first = await b.start({ partitions: 4, ...handlers })
  const second = await b.start({ partitions: 4, ...handlers })
  const name = first.app.handlers[0]?.name
  await b.until(async () => {
    const statuses = await Promise.all([first, second].map((process) => statusOf(process, name)))
    return statuses.every(({ partitions }) => partitions.length === 2)
  })
  return [first, second]
}

/** How many queries were asked by records. */
async function asked(b: Bench): Promise<number> {
  return (await b.events('millrace.shop.queries')).length
}

describe('any process answers', () => {
  it('for the state of every key, as its owner has committed it', async () => {
    const b = bench()
    const processes = await two(b, { handlers: [count] })
    for (const [n, key] of keys.entries()) await publish(processes[0], key, n)
    for (const process of processes) await b.settle(process)
    for (const process of processes) {
      const states = await b.drive(Promise.all(keys.map((key) => process.read(count, key))))
      expect(states.map(({ total }) => total)).toEqual(upTo(7, 0))
    }
    // Each asked for what the other owns, and for nothing else.
    expect(await asked(b)).toBe(keys.length)
  })

  it('by what is owned here without a record', async () => {
    const b = bench()
    const process = await b.start({ partitions: 4, handlers: [count] })
    await b.drive(Promise.all(keys.map((key) => process.read(count, key))))
    await b.drive(process.deadLetters.list())
    await b.drive(process.deadLetters.groups())
    expect(await asked(b)).toBe(0)
  })

  it('for the results of every command', async () => {
    const b = bench()
    const double = on(Double, { name: 'double' }, ({ data }) => 2 * data.n)
    const processes = await two(b, { handlers: [double] })
    const submitted = await b.drive(
      Promise.all(keys.map((key, n) => processes[0].submit(Double, { key, n }))),
    )
    for (const process of processes) await b.settle(process)
    for (const process of processes) {
      const states = await b.drive(
        Promise.all(submitted.map(({ resultId }) => process.result(Double, resultId))),
      )
      expect(states).toEqual(keys.map((_, n) => ({ pending: false, ok: true, result: 2 * n })))
      await expect(b.drive(process.result('shop.3.99'))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    }
  })

  it('for every dead letter: lists, groups, shows, redrives and discards it', async () => {
    const b = bench()
    const fault = { on: true }
    const handled: string[] = []
    const failing = on(Counted, { name: 'handler', retry: { attempts: 1 } }, ({ data }) => {
      if (fault.on) throw new Error(`order ${data.n} is broken`)
      handled.push(data.key)
    })
    const processes = await two(b, { handlers: [failing] })
    for (const [n, key] of keys.entries()) await publish(processes[0], key, n)
    for (const process of processes) await b.settle(process)
    const lists = await b.drive(Promise.all(processes.map(({ deadLetters }) => deadLetters.list())))
    for (const { letters, unanswered } of lists) {
      expect(letters.map(({ key }) => key).toSorted()).toEqual(keys)
      expect(unanswered).toEqual([])
    }
    for (const { deadLetters } of processes) {
      const first = await b.drive(deadLetters.list({}, { limit: 5 }))
      const rest = await b.drive(deadLetters.list({}, { limit: 5, from: first.next ?? '' }))
      expect([...first.letters, ...rest.letters]).toEqual(lists[0]?.letters)
      expect(await b.drive(deadLetters.groups())).toMatchObject({ groups: [{ count: 8 }], unanswered: [] })
      for (const { id, key } of lists[0]?.letters ?? []) {
        expect(await b.drive(deadLetters.show(id))).toMatchObject({ id, event: { data: { key } } })
      }
    }
    fault.on = false
    const gone = lists[0]?.letters[0]
    const { deadLetters } = processes[1]
    const discarded = deadLetters.discard({ id: gone?.id ?? '' }, { reason: 'a test', wait: true })
    expect((await b.drive(discarded)).outcome).toEqual({
      closed: [gone?.id],
      failed: [],
      passedOver: [],
      unsettled: [],
    })
    const { outcome } = await b.drive(deadLetters.redrive({}, { wait: true }))
    expect(outcome?.closed).toHaveLength(7)
    expect(handled.toSorted()).toEqual(keys.filter((key) => key !== gone?.key))
    expect((await b.drive(processes[0].deadLetters.list())).letters).toEqual([])
  })
})

describe('the overview of any process', () => {
  it('is over all partitions, whoever owns them, with who that is', async () => {
    const b = bench()
    const failing = on(Counted, { name: 'handler', retry: { attempts: 2, baseMs: 60_000 } }, ({ data }) => {
      if (data.n < 6) throw new Error(`order ${data.n} is broken`)
    })
    const archive = on(Counted, { name: 'archive', group: 'archive' }, () => {})
    const processes = await two(b, { handlers: [failing, archive] })
    for (const [n, key] of keys.entries()) await publish(processes[0], key, n)
    const statuses = async () => Promise.all(processes.map((process) => process.status()))
    await b.until(async () => (await statuses()).flat().every(({ lag, inFlight }) => lag + inFlight === 0))
    const here = await statuses()
    const [first, second] = await b.drive(Promise.all(processes.map((process) => process.overview())))
    for (const overview of [first, second]) {
      expect(overview?.unanswered).toEqual([])
      expect(overview?.handlers).toMatchObject([
        {
          name: 'handler',
          partitions: [0, 1, 2, 3],
          lag: 0,
          parked: { keys: 6, records: 6 },
          counts: { attempts: 8, handled: 2, failures: 6 },
        },
        { name: 'archive', group: 'archive', partitions: [0, 1, 2, 3], counts: { handled: 8 } },
      ])
      expect(overview?.handlers[0]?.parked.sample.map(({ key }) => key).toSorted()).toEqual(keys.slice(0, 6))
    }
    const owners = (overview: typeof first) =>
      overview?.processes.map((part) => JSON.stringify(part)).toSorted()
    expect(owners(first)).toEqual(owners(second))
    expect(first?.process).not.toBe(second?.process)
    for (const [index, overview] of [first, second].entries()) {
      const own = overview?.processes.filter(({ process }) => process === overview.process)
      expect(own?.map(({ partitions }) => partitions)).toEqual(
        here[index]?.map(({ partitions }) => partitions),
      )
    }
    // Each asked the other once, for all that it owns.
    expect(await asked(b)).toBe(2)
  })

  it('asks nobody where all is owned here', async () => {
    const b = bench()
    const process = await b.start({ partitions: 4, handlers: [count] })
    expect(await b.drive(process.overview())).toMatchObject({
      handlers: await process.status(),
      processes: [{ group: 'shop', partitions: [0, 1, 2, 3] }],
      unanswered: [],
    })
    expect(await asked(b)).toBe(0)
  })
})

describe('waiting for what was redriven', () => {
  it('ends once each is handled or has failed again, and says which', async () => {
    const b = bench()
    const fault = { from: 0 }
    const failing = on(Counted, { name: 'handler', retry: { attempts: 2 } }, ({ data }) => {
      if (data.n >= fault.from) throw new Error(`order ${data.n} is broken`)
    })
    const process = await b.start({ handlers: [failing] })
    await publish(process, 'a', 0, 5)
    await b.settle(process)
    fault.from = 4
    const { outcome } = await b.drive(process.deadLetters.redrive({}, { wait: true }))
    const ids = upTo(5, 0).map((offset) => `handler/shop/0/${offset}`)
    expect(outcome).toEqual({ closed: ids.slice(0, 4), failed: ids.slice(4), passedOver: [], unsettled: [] })
  })

  it('ends when its time is over, and says what is not known', async () => {
    const b = bench()
    const { opened, open } = gate()
    let isFirst = true
    const failing = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async () => {
      if (!isFirst) await opened
      isFirst = false
      throw new Error('broken')
    })
    const process = await b.start({ handlers: [failing] })
    await publish(process, 'a', 1)
    await b.settle(process)
    const asked = process.deadLetters.redrive({}, { wait: true, waitTimeoutMs: 3_000 })
    expect((await b.drive(asked)).outcome).toMatchObject({ closed: [], unsettled: ['handler/shop/0/0'] })
    const discard = process.deadLetters.discard({}, { wait: true, reason: 'a test' })
    expect((await b.drive(discard)).outcome?.passedOver).toEqual([
      { id: 'handler/shop/0/0', reason: 'names what is being tried again just now' },
    ])
    open()
    await b.settle(process)
  })
})

describe('a partition that nobody answers for', () => {
  /** A process that owns every partition and has stopped in the middle of everything, and one beside it. */
  async function alone(b: Bench) {
    const crashed = await b.start({
      partitions: 2,
      handlers: [count],
      around: (engine) => new Proxy(engine, { get: (target, name) => hung(target, name) }),
    })
    return { crashed, asking: await b.start({ partitions: 2, handlers: [count] }) }
  }

  /** News never comes, so nothing that is asked of this process is read. */
  function hung(target: object, name: string | symbol): unknown {
    if (name === 'changed') return () => new Promise(() => {})
    const member: unknown = Reflect.get(target, name, target)
    return typeof member === 'function' ? member.bind(target) : member
  }

  it('is answered for by its next owner, when there is one in time', async () => {
    const b = bench()
    let crash = () => {}
    const around = (engine: MemoryEngine) => {
      crash = () => engine.crash()
      return new Proxy(engine, { get: (target, name) => hung(target, name) })
    }
    const crashed = await b.start({ partitions: 2, handlers: [count], around })
    const asking = await b.start({ partitions: 2, handlers: [count] })
    await b.until(async () => (await statusOf(asking, 'count')).partitions.length === 1)
    const states = Promise.all(keys.map((key) => asking.read(count, key)))
    await b.pass(100)
    crash()
    b.forget(crashed)
    expect(await b.drive(states)).toEqual(keys.map(() => ({ total: 0 })))
  })

  it('is OWNER_UNREACHABLE with its number, and left out of lists, which say so', async () => {
    const b = bench()
    const { asking } = await alone(b)
    await b.until(async () => (await statusOf(asking, 'count')).partitions.length === 1)
    const [own = 0] = (await statusOf(asking, 'count')).partitions
    const failures = await b.drive(Promise.allSettled(keys.map((key) => asking.read(count, key))))
    const rejected = failures.flatMap((failure) => (failure.status === 'rejected' ? failure.reason : []))
    expect(rejected.length).toBeGreaterThan(0)
    for (const error of rejected) {
      expect(error).toMatchObject({
        code: 'OWNER_UNREACHABLE',
        retryable: true,
        where: `group 'shop', partition ${1 - own}`,
      })
    }
    const unanswered = [{ group: 'shop', partition: 1 - own }]
    expect(await b.drive(asking.deadLetters.list())).toEqual({ letters: [], unanswered })
    expect(await b.drive(asking.deadLetters.groups())).toEqual({ groups: [], unanswered })
    const overview = await b.drive(asking.overview())
    expect(overview).toMatchObject({ handlers: [{ name: 'count', partitions: [own] }], unanswered })
    const id = `count/shop/${1 - own}/0`
    await expect(b.drive(asking.deadLetters.show(id))).rejects.toMatchObject({ code: 'OWNER_UNREACHABLE' })
  })
})
