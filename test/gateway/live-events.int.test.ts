import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { app } from '../../src/app/app.ts'
import { start } from '../../src/app/start.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openMemory } from '../../src/engines/memory/index.ts'
import { MemoryLog } from '../../src/engines/memory/memory-log.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { liveBounds } from '../../src/gateway/live/live-events.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { LiveReader } from './live-support.ts'
import { AnyHappened, NoteKept, OrderPlaced, problem, serveShop } from './platform-support.ts'
import { endAfterTest } from './support.ts'

const live = (at: Listening, query = '') => `${at.url}/events/live${query}`

/** An application over an engine whose time the test moves, with no handlers. */
async function serveStill() {
  const runtime = new ManualRuntime()
  const engine = openMemory({ runtime, partitions: 2 })
  endAfterTest(() => engine.close())
  const running = await start(app({ name: 'shop', events: [AnyHappened] }), { log: engine, runtime })
  endAfterTest(() => running.stop())
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  return { runtime, engine, running, at }
}

describe('live events', () => {
  test('are those that come after it began, each with its place', async () => {
    const { running, at } = await serveShop()
    await running.publish(NoteKept, 'before')
    const reader = await LiveReader.open(live(at))
    const { partition, offset } = await running.publish(NoteKept, 'after')
    expect(await reader.record()).toMatchObject({
      topic: 'notes',
      partition,
      offset,
      event: { specversion: '1.0', type: 'note.kept', data: 'after' },
    })
  })

  test('are those of the topics and the types that are asked for', async () => {
    const { running, at } = await serveShop()
    const notes = await LiveReader.open(live(at, '?topic=notes'))
    const orders = await LiveReader.open(live(at, '?type=order.*,nothing.>'))
    await running.publish(OrderPlaced, { sku: 'tea', quantity: 1 })
    await running.publish(NoteKept, 'a note')
    await running.publish(OrderPlaced, { sku: 'tea', quantity: 2 })
    expect(await notes.data(1)).toEqual(['a note'])
    expect(await orders.data(2)).toEqual([
      { sku: 'tea', quantity: 1 },
      { sku: 'tea', quantity: 2 },
    ])
  })

  test('are those of an internal topic only when it is named', async () => {
    const { running, at } = await serveShop()
    const all = await LiveReader.open(live(at))
    const named = await LiveReader.open(live(at, '?topic=millrace.shop.delayed'))
    await running.publish(NoteKept, 'later', { delay: 3_600_000 })
    await running.publish(NoteKept, 'now')
    expect(await all.data(1)).toEqual(['now'])
    expect(await named.record()).toMatchObject({ topic: 'millrace.shop.delayed' })
  })

  test('are those of a topic that is created meanwhile too, from its first record', async () => {
    const { running, at } = await serveShop()
    const reader = await LiveReader.open(live(at))
    await running.engine.createTopic('new', {})
    const [entry] = (await running.engine.read(await noteAt(running), 0, { records: 1, bytes: 1 })).records
    await reader.record()
    await running.engine.append([
      { topic: 'new', partition: 1, timeMs: 0, value: entry?.value ?? new Uint8Array() },
    ])
    await running.publish(NoteKept, 'wakes it')
    const topics = [(await reader.record()).topic, (await reader.record()).topic]
    expect(topics.sort()).toEqual(['new', 'notes'])
  })

  test('go on exactly where any connection ended, over any number of reconnects and restarts', async () => {
    const cuts = fc.array(fc.record({ read: fc.nat(4), publish: fc.nat(4) }), {
      maxLength: 5,
    })
    await fc.assert(
      fc.asyncProperty(cuts, async (turns) => {
        const log = new MemoryLog()
        let published = 0
        let lastId: string | undefined
        const read: number[] = []
        const turn = async (publish: number, take: (pending: number) => number) => {
          const engine = openMemory({ runtime: realRuntime(), partitions: 2, log })
          const running = await start(app({ name: 'shop', events: [AnyHappened] }), { log: engine })
          const at = await servePlatform(running, { port: 0 })
          const reader = await LiveReader.open(live(at), lastId)
          for (let count = 0; count < publish; count += 1) await running.publish(AnyHappened, published++)
          read.push(...((await reader.data(take(published - read.length))) as number[]))
          lastId = reader.lastId
          reader.close()
          await at.close()
          await running.stop()
          await engine.close()
        }
        for (const { read: most, publish } of turns) {
          await turn(publish, (pending) => Math.min(most, pending))
        }
        await turn(1, (pending) => pending)
        expect(read.toSorted((a, b) => a - b)).toEqual(Array.from({ length: published }, (_, n) => n))
      }),
      { numRuns: 15 },
    )
  })

  test('say which records were trimmed meanwhile, and go on behind them', async () => {
    const { running, at } = await serveShop()
    const first = await LiveReader.open(live(at, '?topic=notes'))
    const { partition } = await running.publish(NoteKept, 'read')
    await first.record()
    first.close()
    for (const note of ['lost', 'lost', 'kept']) await running.publish(NoteKept, note)
    await running.engine.trim({ topic: 'notes', partition }, { before: 3 })
    const second = await LiveReader.open(live(at, '?topic=notes'), first.lastId)
    expect(await second.problem('skipped')).toMatchObject({
      code: 'OFFSET_TRIMMED',
      where: `notes/${partition} at 1`,
      facts: { topic: 'notes', partition, offset: 1, next: 3 },
    })
    expect(await second.data(1)).toEqual(['kept'])
  })
})

describe('an idle connection', () => {
  test('gets a sign of life, and an id that is past what its types let out', async () => {
    const { runtime, running, at } = await serveStill()
    const reader = await LiveReader.open(live(at, '?type=other.>'))
    const before = reader.lastId
    await running.publish(AnyHappened, 1)
    const next = reader.next()
    await advanceUntil(runtime, next)
    expect(await next).toMatchObject({ event: 'following' })
    expect(reader.lastId).not.toBe(before)
    const again = await LiveReader.open(live(at), reader.lastId)
    await running.publish(AnyHappened, 2)
    expect(await again.data(1)).toEqual([2])
  })
})

describe('a reader that does not read', () => {
  test('is dropped with SLOW_READER, and goes on where it was when it comes back', async () => {
    const { runtime, running, at } = await serveStill()
    const response = await paused(live(at))
    const large = 'x'.repeat(400_000)
    const count = 60
    for (let n = 0; n < count; n += 1) await running.publish(AnyHappened, { n, large })
    const closed = new Promise((resolve) => response.once('close', resolve))
    for (let turn = 0; turn < 2; turn += 1) {
      await expect.poll(() => runtime.sleeping, { timeout: 60_000 }).toBeGreaterThanOrEqual(2)
      runtime.advance(liveBounds.stallMs - 1)
    }
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    response.resume()
    await closed
    const last = text.trimEnd().split('\n\n').at(-1) ?? ''
    expect(last).toMatch(/^event: problem\ndata: .*"code":"SLOW_READER"/)
    const lastId = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1]
    const seen = [...text.matchAll(/"data":\{"n":(\d+)/g)].map((found) => Number(found[1]))
    expect(seen.length).toBeLessThan(count)
    const again = await LiveReader.open(live(at), lastId)
    const rest = (await again.data(count - seen.length)) as { readonly n: number }[]
    expect([...seen, ...rest.map(({ n }) => n)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: count }, (_, n) => n),
    )
  })
})

describe('the end', () => {
  test('comes cleanly when the port closes', async () => {
    const { at } = await serveShop()
    const reader = await LiveReader.open(live(at))
    await at.close()
    expect(await reader.next()).toBeUndefined()
  })

  test('is not held back by a connection on which nothing was ever asked', async () => {
    const { at } = await serveShop({ drainMs: 10 })
    const socket = connect(at.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await at.close()
    await closed
  })

  test('is told when the log closes', async () => {
    const { running, at } = await serveShop()
    const reader = await LiveReader.open(live(at))
    await running.stop()
    expect(await reader.problem('problem')).toMatchObject({ code: 'LOG_CLOSED' })
    expect(await reader.next()).toBeUndefined()
  })

  test('is told when a topic that was named is deleted', async () => {
    const { engine, at } = await serveStill()
    await engine.createTopic('brief', {})
    const reader = await LiveReader.open(live(at, '?topic=brief'))
    await engine.deleteTopic('brief')
    expect(await reader.problem('problem')).toMatchObject({ code: 'TOPIC_UNKNOWN' })
  })
})

describe('a request for live events', () => {
  test.each([
    ['?topic=nowhere', undefined, 'TOPIC_UNKNOWN', 'query topic'],
    ['?type=a..b', undefined, 'REQUEST_INVALID', 'query type'],
    ['?typo=a', undefined, 'REQUEST_INVALID', 'query typo'],
    ['', 'no position', 'REQUEST_INVALID', 'header last-event-id'],
    ['', 'shop:0', 'REQUEST_INVALID', 'header last-event-id'],
    ['', 'shop:0.0.0.zz', 'REQUEST_INVALID', 'header last-event-id'],
  ])('%s after %s is %s', async (query, lastEventId, code, where) => {
    const { at } = await serveShop()
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    expect(await problem(await fetch(live(at, query), { headers }))).toMatchObject({ code, where })
  })

  test('has only its headers for HEAD, and takes no POST', async () => {
    const { at } = await serveShop()
    const head = await fetch(live(at), { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    const post = await fetch(live(at), { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'HEAD, GET'])
  })

  test('is OVERLOADED when there are too many readers, until one of them goes', async () => {
    const { at } = await serveShop({ drainMs: 100 })
    const readers: LiveReader[] = []
    for (let count = 0; count < liveBounds.connections; count += 1)
      readers.push(await LiveReader.open(live(at)))
    const refused = await fetch(live(at))
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await problem(refused)).toMatchObject({ status: 429, code: 'OVERLOADED' })
    readers[0]?.close()
    await expect
      .poll(async () => {
        const connection = new AbortController()
        const { status } = await fetch(live(at), { signal: connection.signal })
        connection.abort()
        return status
      })
      .toBe(200)
  })
})

async function noteAt(running: Awaited<ReturnType<typeof serveShop>>['running']) {
  const { topic, partition } = await running.publish(NoteKept, 'a note')
  return { topic, partition }
}

/** Lets time pass until a promise has settled. */
async function advanceUntil(runtime: ManualRuntime, settled: Promise<unknown>): Promise<void> {
  let done = false
  const finished = settled.finally(() => {
    done = true
  })
  await expect
    .poll(() => {
      if (!done) runtime.advance(10_000)
      return done
    })
    .toBe(true)
  await finished
}

/** The response to a request, of which nothing is read. */
function paused(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, (response) => {
      response.pause()
      endAfterTest(async () => void request.destroy())
      resolve(response)
    })
    request.once('error', reject)
    request.end()
  })
}
