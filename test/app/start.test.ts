import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { start } from '../../src/app/start.ts'
import { on } from '../../src/bus/definitions.ts'
import { internalTopics } from '../../src/bus/internal-topics.ts'
import { rulesTopic } from '../../src/bus/rules/application-rules.ts'
import { MillraceError } from '../../src/core/errors.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import type { Claim, ClaimListener, LogEngine, Member } from '../../src/log/port.ts'
import { bench, Counted, Echoed, gate, publish, shop, statusOf } from '../bus/support.ts'

describe('starting', () => {
  it('takes nothing but what app() made', async () => {
    await expect(start({ name: 'shop' } as never)).rejects.toThrow(TypeError)
  })

  it('opens the log that a URL names, and closes it with the application', async () => {
    const running = await start(app({ name: 'shop', events: [Counted] }), { log: 'memory:', partitions: 3 })
    expect(running.ready).toBe(true)
    expect(running.engine.partitions).toBe(3)
    await running.publish(Counted, { key: 'a', n: 1 })
    await running.settled()
    await running.stop()
    expect(running.ready).toBe(false)
    await expect(running.engine.listTopics()).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })

  it('leaves an engine that it was given open', async () => {
    const b = bench()
    const running = await b.start()
    await b.stop(running)
    await expect(running.engine.listTopics()).resolves.toBeDefined()
    await running.engine.close()
  })

  it('that is refused gives up what it had claimed', async () => {
    const b = bench()
    const known = on(Counted, { name: 'known', from: 'start' }, () => {})
    const first = await b.start({ handlers: [known] })
    await publish(first, 'a', 1)
    await b.stop(first)
    const unknown = on(Counted, { name: 'unknown' }, () => {})
    await expect(b.start({ handlers: [known, unknown] })).rejects.toMatchObject({ code: 'FROM_REQUIRED' })
    const second = await b.start({ handlers: [known] })
    expect((await statusOf(second, 'known')).partitions).toEqual([0])
  })

  it('creates the topics of its events, of its options and of its groups', async () => {
    const b = bench()
    const running = await b.start({ topics: { extra: { retention: { maxAgeMs: 1_000 } } } })
    const topics = await running.engine.listTopics()
    const expected = ['aside', 'extra', shop, rulesTopic(shop), ...Object.values(internalTopics(shop))]
    expect(topics.map(({ name }) => name)).toEqual(expected.toSorted())
    expect(topics.find(({ name }) => name === 'extra')?.options).toEqual({ retention: { maxAgeMs: 1_000 } })
  })
})

describe('settled', () => {
  it('resolves at once where there is nothing to do', async () => {
    const b = bench()
    const running = await b.start({ handlers: [on(Counted, { name: 'handler' }, () => {})] })
    await running.settled()
  })

  it('waits for what handlers emit, for retries and for dead letters', async () => {
    const b = bench()
    const steps: string[] = []
    const first = on(Counted, { name: 'first' }, ({ data }, ctx) => {
      if (ctx.attempt < 3) throw new Error('again')
      ctx.emit(Echoed, data)
      steps.push('first')
    })
    const second = on(Echoed, { name: 'second', retry: { attempts: 2 } }, (_, ctx) => {
      steps.push(`second ${ctx.attempt}`)
      throw new Error('never')
    })
    const running = await b.start({ handlers: [first, second] })
    await publish(running, 'a', 1)
    await b.settle(running)
    expect(steps).toEqual(['first', 'second 1', 'second 2'])
    expect(await b.deadLetters()).toHaveLength(1)
  })

  it('does not wait for what is delayed, nor for a key that is held', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', whenExhausted: 'park', retry: { attempts: 1 } },
      ({ data }) => {
        if (data.n === 1) throw new Error('never')
      },
    )
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 2)
    await running.publish(Counted, { key: 'b', n: 3 }, { delay: 3_600_000 })
    const before = b.runtime.now()
    await b.settle(running)
    expect(b.runtime.now() - before).toBeLessThan(1_000)
  })

  it('waits for an attempt that runs', async () => {
    const b = bench()
    const running = gate()
    const handler = on(Counted, { name: 'handler' }, () => running.opened)
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    let settled = false
    const settling = process.settled().then(() => {
      settled = true
    })
    await b.quiet()
    expect(settled).toBe(false)
    running.open()
    await b.drive(settling)
  })

  it.each(['commit:apply', 'commit:acknowledge'])(
    'waits for what a failed commit (%s) left undone, until the partition has been taken anew',
    async (step) => {
      const b = bench()
      const settled: Promise<number>[] = []
      let failing = false
      const settle = async () => {
        await process.settled()
        return (await b.numbers(Echoed)).length
      }
      const process = await b.start({
        handlers: [on(Counted, { name: 'handler' }, ({ data }, ctx) => ctx.emit(Echoed, data))],
        fault: (name) =>
          failing && name === step ? new MillraceError('STORAGE_FAILED', 'broken') : undefined,
        // Asked at every moment at which something may look done.
        around: (engine) => watchingClaims(engine, () => failing && settled.push(settle())),
      })
      failing = true
      await publish(process, 'a', 1, 3)
      settled.push(settle())
      const first = Promise.race(settled).then(() => 'settled')
      await b.pass(3_000, 20)
      expect(await Promise.race([first, 'waits'])).toBe('waits')
      failing = false
      const handled = await b.drive(Promise.all(settled))
      expect(handled.length).toBeGreaterThan(1)
      expect(new Set(handled)).toEqual(new Set([3]))
    },
  )

  it('goes on waiting while the log cannot be asked', async () => {
    const b = bench()
    const opened = gate()
    let failing = false
    const process = await b.start({
      handlers: [on(Counted, { name: 'handler' }, () => opened.opened)],
      fault: (name) =>
        failing && name === 'bounds:apply' ? new MillraceError('STORAGE_FAILED', 'broken') : undefined,
    })
    await publish(process, 'a', 1)
    await b.quiet()
    failing = true
    let settled = false
    const settling = process.settled().then(() => (settled = true))
    await b.pass(1_000)
    opened.open()
    await b.pass(1_000)
    expect(settled).toBe(false)
    failing = false
    await b.drive(settling)
  })

  it('rejects when its signal aborts, and when the application stops', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => gate().opened)
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    const tired = new AbortController()
    const one = process.settled(tired.signal)
    const two = process.settled()
    tired.abort(new Error('tired'))
    await expect(one).rejects.toThrow('tired')
    const refused = expect(two).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    await b.stop(process, { now: true })
    await refused
  })
})

describe('a claim that is told of after the one that has replaced it', () => {
  it('changes nothing, whenever its end is told', async () => {
    const b = bench()
    const replaced = new AbortController()
    const handler = on(Counted, { name: 'handler', state: { n: z.number().default(0) } }, ({ data }, ctx) =>
      ctx.state.n.set(data.n),
    )
    const around = (engine: MemoryEngine) => tellingLate(engine, replaced.signal)
    const running = await b.start({ handlers: [handler], around })
    expect((await statusOf(running)).partitions).toEqual([0])
    replaced.abort(new MillraceError('NOT_OWNER', 'The claim has been replaced.'))
    await publish(running, 'a', 1)
    await b.settle(running)
    expect((await statusOf(running)).partitions).toEqual([0])
    expect(await b.drive(running.read(handler, 'a'))).toEqual({ n: 1 })
  })
})

/** The same engine; tells of a claim of the epoch before behind each claim, which ends with the signal and can do nothing. */
function tellingLate(engine: MemoryEngine, signal: AbortSignal): MemoryEngine {
  const join = engine.join.bind(engine)
  const refuse = () => Promise.reject(new MillraceError('NOT_OWNER', 'The claim has been replaced.'))
  engine.join = (group, member, listener) =>
    join(group, member, (claim) => {
      listener(claim)
      const { partition, epoch } = claim
      listener({ group, partition, epoch: epoch - 1, signal, get: refuse, range: refuse, commit: refuse })
    })
  return engine
}

/** The same engine; says when a claim has ended. */
function watchingClaims(engine: MemoryEngine, ended: () => unknown): LogEngine {
  return withClaims(engine, (claim) => {
    claim.signal.addEventListener('abort', ended)
    return claim
  })
}

/** The same engine, with something made of each of its claims. */
function withClaims(engine: MemoryEngine, make: (claim: Claim) => Claim): LogEngine {
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'join') {
        return (group: string, member: Member, listener: ClaimListener) =>
          target.join(group, member, (claim) => listener(make(claim)))
      }
      const own: unknown = Reflect.get(target, name, target)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

describe('a running application', () => {
  it('reads the state of a key from its owner, whichever process is asked', async () => {
    const b = bench()
    const handler = () =>
      on(Counted, { name: 'handler', state: { n: z.number().default(0) } }, ({ data }, ctx) =>
        ctx.state.n.set(data.n),
      )
    const one = await b.start({ handlers: [handler()], partitions: 2 })
    const two = await b.start({ handlers: [handler()] })
    const answers: unknown[] = []
    await publish(one, 'a', 7)
    await b.until(
      async () => (await statusOf(one)).counts.handled + (await statusOf(two)).counts.handled === 1,
    )
    await b.quiet()
    for (const process of [one, two]) answers.push(await b.drive(process.read(handler(), 'a')))
    expect(answers).toEqual([{ n: 7 }, { n: 7 }])
  })

  it('tells of a partition once it is at work, and how far it lags: not while it is still being set up', async () => {
    const b = bench()
    const loaded = gate()
    let holds = false
    const handler = on(Counted, { name: 'handler', from: 'start' }, () => {
      throw new Error('never')
    })
    const one = await b.start({
      handlers: [handler],
      partitions: 2,
      around: (engine) =>
        withClaims(engine, (claim) => ({
          ...claim,
          signal: claim.signal,
          get: (keys) => claim.get(keys),
          commit: (change) => claim.commit(change),
          range: (query) => (holds ? loaded.opened : Promise.resolve()).then(() => claim.range(query)),
        })),
    })
    const two = await b.start({ handlers: [handler] })
    holds = true
    await b.stop(two)
    await b.quiet()
    expect((await statusOf(one)).partitions).toHaveLength(1)
    loaded.open()
    await b.quiet()
    expect((await statusOf(one)).partitions).toEqual([0, 1])
  })

  it('tells what its handlers are doing', async () => {
    const b = bench()
    const hung = gate()
    const handler = on(Counted, { name: 'handler', retry: { baseMs: 60_000 } }, async ({ data }) => {
      if (data.key === 'slow') await hung.opened
      if (data.key === 'bad') throw new Error('not yet')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'good', 1, 2)
    await publish(process, 'slow', 1, 3)
    await publish(process, 'bad', 1, 4)
    await b.quiet()
    expect(await statusOf(process)).toMatchObject({
      name: 'handler',
      kind: 'on',
      group: 'shop',
      topics: ['shop'],
      partitions: [0],
      lag: 7,
      inFlight: 1,
      waiting: 2,
      parked: { keys: 1, records: 4, sample: [{ key: 'bad', attempt: 1, error: 'not yet' }] },
      paused: false,
      stuck: [],
      counts: { handled: 2, attempts: 4, failures: 1, deadLettered: 0 },
    })
    hung.open()
  })
})
