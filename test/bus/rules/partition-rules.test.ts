/**
 * Goal: a record is decided by the rules of its place whoever reads it first. Method: readers are held up at the moments at which
 * another could come to an answer before a mark is known.
 */
import { beforeAll, expect, it } from 'vitest'
import type { RunningApp } from '../../../src/app/running.ts'
import { on } from '../../../src/bus/definitions.ts'
import { LogRecord } from '../../../src/bus/record-cache.ts'
import { type ApplicationRules, loadCompiler } from '../../../src/bus/rules/application-rules.ts'
import { noDecision } from '../../../src/bus/rules/compiled-rules.ts'
import { PartitionRules } from '../../../src/bus/rules/partition-rules.ts'
import { ruleMarkType } from '../../../src/bus/rules/rule-marks.ts'
import type { Event } from '../../../src/core/event.ts'
import { decodeEvent, encodeEvent } from '../../../src/core/event-codec.ts'
import type { MemoryEngine } from '../../../src/engines/memory/index.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { turn } from '../../../src/testing/turn.ts'
import { bench, Counted, publish } from '../support.ts'

// Loading the library of CEL takes real time, which virtual time does not wait for.
beforeAll(async () => {
  await loadCompiler()
})

/** An engine whose news are held back while it is closed. */
function gate() {
  let opened = Promise.resolve()
  let open = () => {}
  const around = (engine: MemoryEngine): LogEngine =>
    new Proxy(engine, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target)
        if (name !== 'changed') return typeof member === 'function' ? member.bind(target) : member
        return async (...args: Parameters<LogEngine['changed']>) => {
          const changed = await target.changed(...args)
          await opened
          return changed
        }
      },
    })
  const close = () => {
    opened = new Promise((resolve) => {
      open = resolve
    })
  }
  return { around, close, open: () => open() }
}

it('a key that is tried again reads ahead of its topic, and decides nothing before it knows the marks there', async () => {
  const b = bench()
  const news = gate()
  const seen: number[] = []
  let fails = true
  let slow = () => {}
  const slowly = new Promise<void>((resolve) => {
    slow = resolve
  })
  const handler = on(Counted, { name: 'handler', retry: { attempts: 20, baseMs: 50 } }, async ({ data }) => {
    if (fails) throw new Error('not yet')
    if (data.n === 2) await slowly
    seen.push(data.n)
  })
  const running: RunningApp = await b.start({ handlers: [handler], around: news.around })
  // What another process publishes is not remembered here.
  const other = await b.start({ handlers: [] })
  const hide = (n: number) => ({
    name: `hide-${n}`,
    pattern: { data: { n: [n] } },
    actions: [{ drop: true }],
  })
  await b.drive(running.rules.put([hide(9)]))
  await publish(other, 'a', 1, 2)
  await b.pass(100)
  news.close()
  await b.drive(other.rules.put([hide(3)]))
  await publish(other, 'a', 3, 4)
  fails = false
  await b.until(() => seen.length === 1)
  news.open()
  await b.pass(100)
  slow()
  await b.settle(running)
  expect(seen).toEqual([1, 2, 4])
})

it('what is found while marks are looked for stays known', async () => {
  const record = (offset: number, type: string, id: string) => {
    const event = {
      specversion: '1.0',
      id,
      source: '/',
      type,
      time: '2026-01-01T00:00:00Z',
      data: {},
    } as const
    return new LogRecord({ topic: 'shop', partition: 0 }, offset, encodeEvent(event), decodeEvent)
  }
  let looking = () => {}
  const found = new Promise<void>((resolve) => {
    looking = resolve
  })
  const slow = {
    bounds: () => found.then(() => ({ start: 0, end: 0, bytes: 0 })),
    offsetAt: () => Promise.resolve(0),
  } as unknown as LogEngine
  const changes = [{ id: 'c1', timeMs: 0, change: { change: 'policy', policy: 'all' }, topics: ['shop'] }]
  const decision = { ...noDecision, hiddenBy: 'c2' }
  const application = {
    topics: ['shop'],
    history: {
      changes,
      refresh: () => Promise.resolve(),
      indexOf: (id: string) => ['c1', 'c2'].indexOf(id),
    },
    prepare: () => Promise.resolve(),
    after: (index: number) => ({ decide: () => (index === 1 ? decision : noDecision) }),
  } as unknown as ApplicationRules
  const tools = { engine: slow, application, signal: new AbortController().signal }
  const rules = new PartitionRules(0, tools)
  const loaded = rules.load()
  await turn()
  await rules.take('shop', [record(5, ruleMarkType, 'c2')])
  looking()
  await loaded
  expect(rules.decide({ topic: 'shop', offset: 6 }, { id: 'e' } as Event).hiddenBy).toBe('c2')
  expect(rules.decide({ topic: 'shop', offset: 4 }, { id: 'f' } as Event).hiddenBy).toBeUndefined()
})
