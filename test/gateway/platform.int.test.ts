import { request as httpRequest } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { type Listening, serveApp, servePlatform } from '../../src/gateway/index.ts'
import { NoteKept, OrderPlaced, problem, serveShop } from './platform-support.ts'
import { type StartInMemory, startInMemory } from './support.ts'

describe('reading', () => {
  async function filled(
    how: StartInMemory = {},
  ): Promise<{ running: RunningApp; at: Listening; place: string; partition: number }> {
    const { running, at } = await serveShop({}, how)
    let partition = 0
    for (const quantity of [1, 2, 3]) {
      partition = (await running.publish(OrderPlaced, { sku: 'tea', quantity })).partition
    }
    return { running, at, partition, place: `${at.url}/events?topic=shop&partition=${partition}` }
  }

  test('gives the records of a place in order, and where to read on', async () => {
    const { at: _at, place, partition } = await filled()
    const first = (await (await fetch(`${place}&limit=2`)).json()) as Page
    expect(first.records).toMatchObject([
      { topic: 'shop', partition, offset: 0, event: { data: { quantity: 1 } } },
      { topic: 'shop', partition, offset: 1, event: { data: { quantity: 2 } } },
    ])
    const second = (await (await fetch(`${place}&from=${first.next}`)).json()) as Page
    expect(second.records).toMatchObject([{ offset: 2 }])
    const third = (await (await fetch(`${place}&from=${second.next}`)).json()) as Page
    expect(third).toEqual({ records: [], next: second.next })
  })

  test('begins at the first record of a time', async () => {
    const { running, place, partition } = await filled()
    const { records } = await running.engine.read({ topic: 'shop', partition }, 0, { records: 1, bytes: 1 })
    const firstMs = records[0]?.timeMs ?? 0
    const from = (timeMs: number) => fetch(`${place}&from=${new Date(timeMs).toISOString()}`)
    expect(((await (await from(firstMs)).json()) as Page).records).toHaveLength(3)
    expect(((await (await from(firstMs + 86_400_000)).json()) as Page).records).toEqual([])
  })

  test('begins at the start of what is kept, and below it is 410', async () => {
    const { running, at } = await serveShop()
    let partition = 0
    for (const note of ['a', 'b', 'c']) ({ partition } = await running.publish(NoteKept, note))
    await running.engine.trim({ topic: 'notes', partition }, { before: 2 })
    const place = `${at.url}/events?topic=notes&partition=${partition}`
    expect(((await (await fetch(place)).json()) as Page).records).toMatchObject([{ offset: 2 }])
    expect(await problem(await fetch(`${place}&from=0`))).toMatchObject({
      status: 410,
      code: 'OFFSET_TRIMMED',
    })
  })

  test('a corrupt record is told with its place and how to go on', async () => {
    const corrupt = new MillraceError('RECORD_CORRUPT', 'The checksum fails.', { facts: { offset: 1 } })
    const { place, partition } = await filled({
      fault: (name) => (name === 'read:apply' ? corrupt : undefined),
    })
    expect(await problem(await fetch(place))).toMatchObject({
      status: 500,
      code: 'RECORD_CORRUPT',
      where: `shop/${partition} at 1`,
      fix: 'Read on behind it with from=2.',
    })
  })

  test.each([
    ['?partition=0', 400, 'REQUEST_INVALID', 'query topic'],
    ['?topic=shop', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=4', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=x', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=0&from=-1', 400, 'REQUEST_INVALID', 'query from'],
    ['?topic=shop&partition=0&from=yesterday', 400, 'REQUEST_INVALID', 'query from'],
    ['?topic=shop&partition=0&limit=0', 400, 'REQUEST_INVALID', 'query limit'],
    ['?topic=shop&partition=0&limit=1001', 400, 'REQUEST_INVALID', 'query limit'],
    ['?topic=shop&topic=shop&partition=0', 400, 'REQUEST_INVALID', 'query topic'],
    ['?topic=nowhere&partition=0', 404, 'TOPIC_UNKNOWN', 'query topic'],
  ])('%s is refused', async (query, status, code, where) => {
    const { at } = await serveShop()
    expect(await problem(await fetch(`${at.url}/events${query}`))).toMatchObject({ status, code, where })
  })
})

interface Page {
  readonly records: readonly { offset: number }[]
  readonly next: number
}

describe('the state of the platform', () => {
  test('topics are listed with their partitions and retention', async () => {
    const { running, at } = await serveShop()
    const { partition } = await running.publish(OrderPlaced, { sku: 'tea', quantity: 1 })
    const { topics } = (await (await fetch(`${at.url}/topics`)).json()) as {
      topics: { name: string; partitions: { bytes: number }[] }[]
    }
    const shop = topics.find(({ name }) => name === 'shop')
    expect(shop).toMatchObject({ name: 'shop', internal: false, retention: {} })
    expect(shop?.partitions).toHaveLength(4)
    expect(shop?.partitions[partition]).toMatchObject({ partition, start: 0, end: 1 })
    expect(shop?.partitions[partition]?.bytes).toBeGreaterThan(0)
  })

  test('handlers are listed as their status says', async () => {
    const { running, at } = await serveShop()
    await running.publish(OrderPlaced, { sku: 'tea', quantity: 1 })
    await running.settled()
    const { handlers } = (await (await fetch(`${at.url}/handlers`)).json()) as { handlers: unknown[] }
    expect(handlers).toEqual((await running.overview()).handlers)
    expect(handlers).toMatchObject([{ name: 'take-order', lag: 0, counts: { handled: 1 } }])
  })

  test('it is live from the start, and ready until it stops', async () => {
    const { running, at } = await serveShop()
    expect((await fetch(`${at.url}/health/live`)).status).toBe(200)
    expect((await fetch(`${at.url}/health/ready`)).status).toBe(200)
    await running.stop()
    expect((await fetch(`${at.url}/health/live`)).status).toBe(200)
    const response = await fetch(`${at.url}/health/ready`)
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
  })

  test('before it closes it says that it is not ready, and answers, each time for the last time', async () => {
    const { at } = await serveShop()
    at.beginClosing()
    expect((await fetch(`${at.url}/health/ready`)).status).toBe(503)
    const topics = await fetch(`${at.url}/topics`)
    expect(topics.status).toBe(200)
    expect(topics.headers.get('connection')).toBe('close')
  })

  test('HEAD is answered like GET, without the body', async () => {
    const { at } = await serveShop()
    const response = await fetch(`${at.url}/topics`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })

  test('a wrong path is 404, and a wrong method is 405 with what is allowed', async () => {
    const { at } = await serveShop()
    expect(await problem(await fetch(`${at.url}/event`))).toMatchObject({ status: 404, code: 'NOT_FOUND' })
    for (const method of ['DELETE', 'OPTIONS', 'PROPFIND']) {
      const response = await fetch(`${at.url}/events`, { method })
      expect(response.headers.get('allow')).toBe('POST, HEAD, GET')
      expect(await problem(response)).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
    }
  })
})

describe('nobody from outside is let in', () => {
  test.each(['0.0.0.0', '::', '192.168.0.1', 'example.com'])('it does not listen on %s', async (host) => {
    const running = await startInMemory({ name: 'shop' })
    await expect(servePlatform(running, { port: 0, host })).rejects.toMatchObject({
      code: 'HOST_NOT_ALLOWED',
    })
  })

  test('a request for another host name is refused', async () => {
    const { at } = await serveShop()
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: `attacker.example:${at.port}` }
      httpRequest(`${at.url}/topics`, { headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })

  test('a host that is not this machine is LISTEN_FAILED', async () => {
    const running = await startInMemory({ name: 'shop' })
    await expect(serveApp(running, { port: 0, host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
    })
    await expect(serveApp(running, { port: 65_536 })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(/[^.]\.$/),
    })
  })

  test('a port that is taken is PORT_IN_USE', async () => {
    const { running, at } = await serveShop()
    await expect(servePlatform(running, { port: at.port })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      where: `port ${at.port}`,
    })
  })
})
