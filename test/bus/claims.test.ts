import { describe, expect, it } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { type Bench, bench, Counted, Echoed, gate, publish, statusOf, upTo } from './support.ts'

const broken = () => new MillraceError('STORAGE_FAILED', 'the disk is full')
const sorted = (numbers: readonly number[]) => numbers.toSorted((left, right) => left - right)

/** Emits each event and counts it in the state, so that what is lost or done twice is seen. */
function echo(b: Bench) {
  return on(Counted, { name: 'handler', state: { last: Counted.schema } }, async ({ data }, ctx) => {
    const last = (await ctx.state.last.get())?.n ?? 0
    await b.runtime.sleep(data.n % 3)
    ctx.state.last.set({ key: data.key, n: last + 1 })
    ctx.emit(Echoed, data)
  })
}

async function echoed(b: Bench, count: number): Promise<void> {
  await b.until(async () => (await b.numbers(Echoed)).length >= count)
  await b.pass(5_000)
}

describe('a commit that fails', () => {
  it.each(['commit:apply', 'commit:acknowledge'])(
    'at %s has the claim taken anew, and everything is handled with one effect',
    async (step) => {
      const b = bench()
      let commits = 0
      const handler = echo(b)
      const process = await b.start({
        handlers: [handler],
        partitions: 2,
        fault: (name) => {
          if (name !== step) return undefined
          commits += 1
          return commits % 7 === 0 ? broken() : undefined
        },
      })
      for (const n of upTo(60)) {
        await publish(process, `k${n % 5}`, n)
        await b.pass(10, 5)
      }
      await echoed(b, 60)
      expect(commits).toBeGreaterThan(14)
      expect(sorted(await b.numbers(Echoed))).toEqual(upTo(60))
      for (const key of upTo(4, 0)) {
        expect(await process.read(handler, `k${key}`)).toMatchObject({ last: { n: 12 } })
      }
    },
  )

  it('again and again is not tried in a busy loop, and goes on when it works again', async () => {
    const b = bench()
    let full = false
    let commits = 0
    const process = await b.start({
      handlers: [echo(b)],
      fault: (name) => {
        if (name !== 'commit:apply' || !full) return undefined
        commits += 1
        return broken()
      },
    })
    full = true
    await publish(process, 'a', 1, 3)
    await b.pass(120_000, 100)
    expect(commits).toBeGreaterThan(5)
    expect(commits).toBeLessThan(40)
    full = false
    await echoed(b, 3)
    expect(await b.numbers(Echoed)).toEqual([1, 2, 3])
  })
})

describe('a read that fails', () => {
  it.each(['read', 'changed', 'bounds'])(
    '(%s) has the claims taken anew, and nothing is lost or done twice',
    async (call) => {
      const b = bench()
      let calls = 0
      let failing = false
      const process = await b.start({
        handlers: [echo(b)],
        fault: (name) => {
          if (!failing || name !== `${call}:apply`) return undefined
          calls += 1
          return calls % 3 === 1 && calls < 20 ? broken() : undefined
        },
      })
      failing = true
      for (const n of upTo(30)) {
        await b.append('shop', new Uint8Array([0xff]))
        await publish(process, 'a', n)
        await b.pass(200, 50)
      }
      failing = false
      await echoed(b, 30)
      expect(await b.numbers(Echoed)).toEqual(upTo(30))
      expect(calls).toBeGreaterThan(0)
    },
  )
})

describe('several processes', () => {
  it('share the partitions, and hand them over as they come and go: nothing is lost or done twice', async () => {
    const b = bench()
    const handlers = () => [echo(b)]
    const processes: RunningApp[] = [await b.start({ handlers: handlers(), partitions: 8 })]
    let n = 0
    const load = async (count: number) => {
      for (const _ of upTo(count)) {
        n += 1
        await publish(processes[n % processes.length] as RunningApp, `k${n % 13}`, n)
        await b.pass(2, 1)
      }
    }
    await load(40)
    processes.push(await b.start({ handlers: handlers() }))
    await load(40)
    processes.push(await b.start({ handlers: handlers() }))
    await load(40)
    await b.stop(processes.shift() as RunningApp)
    await load(40)
    await echoed(b, n)
    expect(sorted(await b.numbers(Echoed))).toEqual(upTo(n))
    const owned = await Promise.all(processes.map(async (process) => (await statusOf(process)).partitions))
    expect(sorted(owned.flat())).toEqual(upTo(7, 0))
    expect(owned.map((partitions) => partitions.length)).toEqual([4, 4])
  })

  it('count no failure when partitions move, however often, so that none waits to be taken', async () => {
    const b = bench()
    const warnings: string[] = []
    const logger = {
      ...silentLogger,
      warn: (...said: readonly unknown[]) => void warnings.push(String(said)),
    }
    const start = () => b.start({ handlers: [echo(b)], partitions: 8, options: { logger } })
    const stays = await start()
    let n = 0
    for (const _ of upTo(12)) {
      // Each takes from the other what that is about to set up.
      const come = await Promise.all([start(), start(), start()])
      for (const _ of upTo(20)) {
        n += 1
        await publish(stays, `k${n % 13}`, n)
        await b.pass(2, 1)
      }
      await Promise.all(come.map((process) => b.stop(process, { now: true })))
      await b.pass(10, 1)
      expect((await statusOf(stays)).partitions).toEqual(upTo(7, 0))
    }
    await echoed(b, n)
    expect(sorted(await b.numbers(Echoed))).toEqual(upTo(n))
    expect(warnings).toEqual([])
  })

  it('take over what a crashed one had', async () => {
    const b = bench()
    let crash = () => {}
    const first = await b.start({
      handlers: [echo(b)],
      partitions: 4,
      around: (engine) => {
        crash = () => engine.crash()
        return engine
      },
    })
    for (const n of upTo(40)) {
      await publish(first, `k${n % 7}`, n)
      if (n > 20) await b.pass(1)
    }
    crash()
    b.forget(first)
    const second = await b.start({ handlers: [echo(b)] })
    await echoed(b, 40)
    expect(sorted(await b.numbers(Echoed))).toEqual(upTo(40))
    expect((await statusOf(second)).partitions).toEqual([0, 1, 2, 3])
  })

  it('commit nothing of what they lost: an attempt that hangs over the loss has no effect', async () => {
    const b = bench()
    const hung = gate()
    let first = true
    const handler = () =>
      on(Counted, { name: 'handler' }, async ({ data }, ctx) => {
        if (first) {
          first = false
          await hung.opened
        }
        ctx.emit(Echoed, data)
      })
    let loseSession = () => {}
    const one = await b.start({
      handlers: [handler()],
      around: (engine) => {
        loseSession = () => engine.loseSession()
        return engine
      },
    })
    await publish(one, 'a', 1)
    await b.quiet()
    loseSession()
    await b.start({ handlers: [handler()] })
    await echoed(b, 1)
    hung.open()
    await b.pass(5_000)
    expect(await b.numbers(Echoed)).toEqual([1])
  })

  it('that is stopping takes no partition that another gives up', async () => {
    const b = bench()
    const hung = gate()
    const begun: string[] = []
    const handler = (name: string) =>
      on(Counted, { name: 'handler' }, async ({ data }) => {
        begun.push(`${name} ${data.n}`)
        if (data.n === 0) await hung.opened
      })
    const one = await b.start({ handlers: [handler('one')], partitions: 2 })
    const two = await b.start({ handlers: [handler('two')] })
    for (const n of upTo(8)) await one.publish(Counted, { key: `k${n}`, n: 0 })
    await b.quiet()
    const stopping = b.stop(one)
    await b.quiet()
    await b.stop(two, { now: true })
    const before = begun.length
    for (const n of upTo(8)) await one.publish(Counted, { key: `other${n}`, n })
    await b.quiet()
    expect(begun.slice(before)).toEqual([])
    hung.open()
    await stopping
  })
})
