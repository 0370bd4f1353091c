import { describe, expect, test } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { OrderPlaced, problem } from './platform-support.ts'
import { endAfterTest, startInMemory } from './support.ts'

interface Shop {
  readonly running: RunningApp
  readonly at: Listening
  readonly handled: number[]
  readonly fault: { on: boolean }
}

/** A shop whose handler has given up on three orders of one key. */
async function broken(): Promise<Shop> {
  const fault = { on: true }
  const handled: number[] = []
  const take = on(OrderPlaced, { name: 'take-order', retry: { attempts: 1 } }, ({ data }) => {
    if (fault.on) throw new TypeError(`no shelf for ${data.quantity}`)
    handled.push(data.quantity)
  })
  const running = await startInMemory({ name: 'shop', handlers: [take] })
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  for (const quantity of [1, 2, 3]) await running.publish(OrderPlaced, { sku: 'tea', quantity })
  await running.settled()
  return { running, at, handled, fault }
}

async function get(at: Listening, path: string): Promise<Answer> {
  const response = await fetch(`${at.url}/dead-letters${path}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Answer
}

function post(at: Listening, path: string, body: unknown): Promise<Response> {
  return fetch(`${at.url}/dead-letters${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

interface Answer {
  readonly letters: readonly { readonly id: string; readonly offset: number }[]
  readonly groups: readonly { readonly fingerprint: string; readonly count: number }[]
  readonly unanswered: unknown
  readonly next?: string
}

describe('GET /dead-letters', () => {
  test('lists what is open by pages, with the partitions that nobody answers for', async () => {
    const { at } = await broken()
    const first = await get(at, '?handler=take-order&limit=2')
    expect(first.letters.map(({ offset }) => offset)).toEqual([0, 1])
    expect(first.unanswered).toEqual([])
    const second = await get(at, `?limit=2&from=${encodeURIComponent(first.next ?? '')}`)
    expect(second.letters.map(({ offset }) => offset)).toEqual([2])
    expect(second.next).toBeUndefined()
  })

  test('groups them by cause, and lists and shows those of a group', async () => {
    const { at } = await broken()
    const { groups } = await get(at, '/groups')
    expect(groups).toMatchObject([{ handler: 'take-order', count: 3, error: { name: 'TypeError' } }])
    const { letters } = await get(at, `?group=${groups[0]?.fingerprint}`)
    expect(letters).toHaveLength(3)
    expect(await get(at, `/show?id=${letters[1]?.id}`)).toMatchObject({
      event: { data: { sku: 'tea', quantity: 2 } },
      error: { stack: expect.stringContaining('no shelf for 2') },
      failures: [{ attempt: 1 }],
    })
  })

  test.each([
    ['?handler=nobody', 404, 'HANDLER_UNKNOWN'],
    ['?limit=0', 400, 'REQUEST_INVALID'],
    ['?from=here', 400, 'REQUEST_INVALID'],
    ['?colour=red', 400, 'REQUEST_INVALID'],
    ['/show', 400, 'REQUEST_INVALID'],
    ['/show?id=take-order/shop/0/99', 404, 'DEAD_LETTER_UNKNOWN'],
    ['/redrive', 405, 'METHOD_NOT_ALLOWED'],
  ])('%s is refused with %i %s', async (path, status, code) => {
    const { at } = await broken()
    expect(await problem(await fetch(`${at.url}/dead-letters${path}`))).toMatchObject({ status, code })
  })
})

describe('POST /dead-letters', () => {
  test('redrives them in order; a dry run says which, and does nothing', async () => {
    const { running, at, handled, fault } = await broken()
    fault.on = false
    const dry = await post(at, '/redrive', { all: true, dryRun: true })
    expect([dry.status, await dry.json()]).toMatchObject([200, { asked: 0, letters: [{}, {}, {}] }])
    await running.settled()
    expect(handled).toEqual([])
    const asked = await post(at, '/redrive', { handler: 'take-order' })
    expect([asked.status, await asked.json()]).toMatchObject([202, { asked: 3, dryRun: false }])
    await running.settled()
    expect(handled).toEqual([1, 2, 3])
    expect((await get(at, '')).letters).toEqual([])
  })

  test('discards one, for a reason', async () => {
    const { running, at } = await broken()
    const [first] = (await get(at, '')).letters
    const answer = await post(at, '/discard', { id: first?.id, reason: 'a test order' })
    expect(answer.status).toBe(202)
    await running.settled()
    expect((await get(at, '')).letters.map(({ offset }) => offset)).toEqual([1, 2])
    const again = await post(at, '/discard', { id: first?.id, reason: 'a test order' })
    expect(await problem(again)).toMatchObject({ status: 404, code: 'DEAD_LETTER_UNKNOWN' })
  })

  test('with wait are answered once they are done, with what came of each', async () => {
    const { at, fault, handled } = await broken()
    const { letters } = await get(at, '')
    const [first, ...others] = letters.map(({ id }) => id)
    const outcome = { failed: [], passedOver: [], unsettled: [] }
    const discarded = await post(at, '/discard', { id: first, reason: 'a test order', wait: true })
    expect(discarded.status).toBe(200)
    expect(await discarded.json()).toMatchObject({ outcome: { ...outcome, closed: [first] } })
    fault.on = false
    const redriven = await post(at, '/redrive', { all: true, wait: true })
    expect(redriven.status).toBe(200)
    expect(await redriven.json()).toMatchObject({ asked: 2, outcome: { ...outcome, closed: others } })
    expect(handled).toEqual([2, 3])
  })

  test.each([
    ['/redrive', {}, 'REQUEST_INVALID'],
    ['/redrive', { all: true, wait: 1 }, 'REQUEST_INVALID'],
    ['/redrive', { all: true, handler: 'take-order' }, 'REQUEST_INVALID'],
    ['/redrive', { all: 'yes' }, 'REQUEST_INVALID'],
    ['/redrive', { handler: 7 }, 'REQUEST_INVALID'],
    ['/redrive', { all: true, limit: 1001 }, 'REQUEST_INVALID'],
    ['/redrive', { all: true, reason: 'none is asked for' }, 'REQUEST_INVALID'],
    ['/redrive', [], 'REQUEST_INVALID'],
    ['/redrive', '{', 'JSON_INVALID'],
    ['/discard', { all: true }, 'REQUEST_INVALID'],
    ['/discard', { all: true, reason: '   ' }, 'REQUEST_INVALID'],
  ])('%s with %j is %s, and asks nothing', async (path, body, code) => {
    const { at } = await broken()
    expect(await problem(await post(at, path, body))).toMatchObject({ status: 400, code })
    expect((await get(at, '')).letters).toHaveLength(3)
  })
})
