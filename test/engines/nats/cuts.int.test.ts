import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { encodeEvent } from '../../../src/core/event-codec.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import type { Claim, Entry, LogEngine } from '../../../src/log/port.ts'
import { recordsAt } from '../records-at.ts'
import { type Cut, CuttingProxy } from './cutting-proxy.ts'
import { hasNats, NatsServer } from './server.ts'

const at = { topic: 'orders', partition: 0 }
const moments: readonly Cut['when'][] = ['before it is stored', 'before it is acknowledged']

function entry(id: string, options: { readonly isIdempotent: boolean }): Entry {
  const from = { source: 'test', type: 'test', time: '2026-01-01T00:00:00Z' }
  const value = encodeEvent({ specversion: '1.0', id, ...from, data: null })
  return { ...at, value, timeMs: 1, ...(options.isIdempotent ? { deduplicationId: id } : {}) }
}

describe.runIf(hasNats)('a connection that is cut', () => {
  let server: NatsServer
  let proxy: CuttingProxy
  let engine: LogEngine
  let log: string

  beforeAll(async () => {
    server = await NatsServer.start()
    proxy = await CuttingProxy.start(server.port)
  }, 60_000)

  afterAll(async () => {
    await proxy?.close()
    await server?.remove()
  })

  beforeEach(async () => {
    log = server.newLog()
    engine = await openNats(proxy.url(log), { runtime: realRuntime(), partitions: 1 })
    await engine.createTopic('orders', {})
  })

  afterEach(() => engine.close())

  async function idsStored(): Promise<unknown[]> {
    const records = await recordsAt(engine, at)
    return records.map(({ value }) => JSON.parse(Buffer.from(value).toString()).id)
  }

  for (const when of moments) {
    for (const isIdempotent of [false, true]) {
      it(`${when} leaves an append ${isIdempotent ? 'with' : 'without'} an id stored once, in the order of the calls`, async () => {
        await engine.append([entry('first', { isIdempotent })])
        proxy.cut = { subject: `${log}.topic.orders`, when }
        const ids = Array.from({ length: 20 }, (_, index) => `next-${index}`)
        const appended = await Promise.all(ids.map((id) => engine.append([entry(id, { isIdempotent })])))
        expect(proxy.cut).toBeUndefined()
        expect(appended.flat().filter(({ duplicate }) => duplicate)).toEqual([])
        expect(await idsStored()).toEqual(['first', ...ids])
      }, 30_000)
    }

    for (const what of ['journal', 'topic.orders'] as const) {
      it(`${when} leaves a commit done once when it happens to a message of ${what}`, async () => {
        const claims: Claim[] = []
        await engine.join('copiers', { id: 'one' }, (claim) => claims.push(claim))
        const [claim] = claims
        await claim?.commit({ puts: [], deletes: [], appends: [entry('first', { isIdempotent: false })] })
        proxy.cut = { subject: `${log}.${what}`, when }
        const commits = Array.from({ length: 5 }, (_, index) =>
          claim?.commit({
            puts: [{ key: 'last', value: Buffer.from(String(index)) }],
            deletes: [],
            appends: [entry(`next-${index}`, { isIdempotent: false })],
          }),
        )
        await Promise.all(commits)
        expect(proxy.cut).toBeUndefined()
        expect(await idsStored()).toEqual(['first', 'next-0', 'next-1', 'next-2', 'next-3', 'next-4'])
        const [last] = (await claim?.get(['last'])) ?? []
        expect(Buffer.from(last ?? '').toString()).toBe('4')
      }, 30_000)
    }
  }

  it('misses no news that came meanwhile', async () => {
    const other = await openNats(server.url(log), { runtime: realRuntime() })
    try {
      const { end } = await engine.bounds(at)
      const news = engine.changed(new Map([[at, end]]), new AbortController().signal)
      await engine.bounds(at)
      proxy.cut = { subject: `${log}.topic.orders`, when: 'before it is acknowledged' }
      const own = engine.append([entry('own', { isIdempotent: false })])
      await other.append([entry('other', { isIdempotent: false })])
      expect(await news).toEqual([at])
      await own
      const behind = (await engine.bounds(at)).end
      const more = engine.changed(new Map([[at, behind]]), new AbortController().signal)
      await other.append([entry('more', { isIdempotent: false })])
      expect(await more).toEqual([at])
      expect((await idsStored()).sort()).toEqual(['more', 'other', 'own'])
    } finally {
      await other.close()
    }
  }, 30_000)
})
