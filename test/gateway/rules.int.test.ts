import { describe, expect, test } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { AnyHappened, NoteKept, OrderPlaced, problem } from './platform-support.ts'
import { endAfterTest, startInMemory } from './support.ts'

const drop = { name: 'drop', pattern: { type: 'order.placed' }, actions: [{ drop: true }] }

async function shop() {
  const handled: number[] = []
  const take = on(OrderPlaced, { name: 'take-order' }, ({ data }) => {
    handled.push(data.quantity)
  })
  const running = await startInMemory({ name: 'shop', handlers: [take], events: [AnyHappened, NoteKept] })
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  return { running, at, handled }
}

async function get(at: Listening, path: string): Promise<Response> {
  return await fetch(`${at.url}${path}`)
}

function post(at: Listening, path: string, body: unknown): Promise<Response> {
  return fetch(`${at.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

test('rules are put, shown, tried, switched, told of and removed', async () => {
  const { running, at, handled } = await shop()
  await running.publish(OrderPlaced, { sku: 'tea', quantity: 1 })
  const trial = await (await post(at, '/rules/try', { rules: [drop], topic: 'shop' })).json()
  expect(trial).toMatchObject({ looked: 1, matched: { drop: 1 }, hits: [{ hiddenBy: 'drop' }] })
  const put = await post(at, '/rules', { rules: [drop], by: 'ada', reason: 'too many' })
  expect(put.status).toBe(200)
  expect(await put.json()).toMatchObject({ change: { change: 'put', by: 'ada' } })
  await running.publish(OrderPlaced, { sku: 'tea', quantity: 2 })
  const route = await (await post(at, '/route', { event: { type: 'order.placed', data: {} } })).json()
  expect(route).toMatchObject({
    hiddenBy: 'drop',
    handlers: [{ name: 'take-order', matches: false, nearly: true }],
  })
  expect((await post(at, '/rules/disable', { name: 'drop' })).status).toBe(200)
  await running.publish(OrderPlaced, { sku: 'tea', quantity: 3 })
  await running.settled()
  expect(handled).toEqual([1, 3])
  expect(await (await get(at, '/rules/show?name=drop')).json()).toMatchObject({
    rule: { enabled: false },
    counts: { matched: 1, acted: 1 },
  })
  expect((await post(at, '/rules/policy', { policy: 'first' })).status).toBe(200)
  expect((await post(at, '/rules/remove', { name: 'drop' })).status).toBe(200)
  expect(await (await get(at, '/rules')).json()).toEqual({ policy: 'first', rules: [] })
  const { changes } = (await (await get(at, '/rules/changes')).json()) as { changes: readonly object[] }
  expect(changes).toMatchObject([
    { change: 'put', by: 'ada', reason: 'too many' },
    { change: 'disable', name: 'drop' },
    { change: 'policy', policy: 'first' },
    { change: 'remove', name: 'drop' },
  ])
  const page = await (await get(at, '/rules/changes?from=1&limit=2')).json()
  expect(page).toMatchObject({ changes: [{ change: 'disable' }, { change: 'policy' }], next: 3 })
  const last = await (await get(at, '/rules/changes?from=3&limit=2')).json()
  expect(last).toEqual({ changes: [expect.objectContaining({ change: 'remove' })] })
})

describe('what cannot be understood or done is refused with its place, and changes nothing', () => {
  test.each<readonly [string, unknown, number, string, string | RegExp]>([
    ['/rules', '{', 400, 'JSON_INVALID', /column/],
    ['/rules', [], 400, 'REQUEST_INVALID', 'body'],
    ['/rules', {}, 400, 'REQUEST_INVALID', 'body rules'],
    ['/rules', { rules: [] }, 400, 'REQUEST_INVALID', 'body rules'],
    ['/rules', { rules: [drop], who: 'ada' }, 400, 'REQUEST_INVALID', 'body who'],
    ['/rules', { rules: [drop], by: 5 }, 400, 'REQUEST_INVALID', 'body by'],
    ['/rules', { rules: [null] }, 400, 'RULE_INVALID', 'rule'],
    ['/rules', { rules: [drop, { ...drop, name: '../x' }] }, 400, 'RULE_INVALID', 'name'],
    ['/rules', { rules: [drop, { ...drop, when: '1 +' }] }, 400, 'RULE_INVALID', /rule 'drop', when, line 1/],
    ['/rules', { rules: [{ ...drop, pattern: { data: { n: 1 } } }] }, 400, 'PATTERN_INVALID', /data\.n/],
    [
      '/rules',
      { rules: [{ ...drop, actions: [{ send: 'nobody' }] }] },
      404,
      'HANDLER_UNKNOWN',
      /actions\[0\]\.send/,
    ],
    [
      '/rules',
      { rules: [{ ...drop, actions: [{ move: 'nowhere' }] }] },
      400,
      'RULE_INVALID',
      /actions\[0\]\.move/,
    ],
    [
      '/rules',
      { rules: [{ ...drop, actions: [{ move: 'millrace.shop.rules' }] }] },
      400,
      'RULE_INVALID',
      /move/,
    ],
    [
      '/rules',
      { rules: [{ ...drop, actions: [{ emit: 'no', data: '1' }] }] },
      400,
      'EVENT_TYPE_UNKNOWN',
      /emit/,
    ],
    ['/rules/enable', {}, 400, 'REQUEST_INVALID', 'body name'],
    ['/rules/enable', { name: '' }, 400, 'REQUEST_INVALID', 'body name'],
    ['/rules/disable', { name: 'nobody' }, 404, 'RULE_UNKNOWN', 'name'],
    ['/rules/remove', { name: 'a/b' }, 400, 'RULE_INVALID', 'name'],
    ['/rules/policy', {}, 400, 'RULE_INVALID', 'policy'],
    ['/rules/policy', { policy: 'some' }, 400, 'RULE_INVALID', 'policy'],
    ['/rules/try', { rules: {} }, 400, 'REQUEST_INVALID', 'body rules'],
    ['/rules/try', { limit: 0 }, 400, 'REQUEST_INVALID', 'body limit'],
    ['/rules/try', { from: 'yesterday' }, 400, 'REQUEST_INVALID', 'body from'],
    ['/rules/try', { topic: 'nowhere' }, 404, 'TOPIC_UNKNOWN', 'topic'],
    ['/rules/try', { topic: 'millrace.shop.rules' }, 404, 'TOPIC_UNKNOWN', 'topic'],
    ['/rules/try', { policy: 5 }, 400, 'RULE_INVALID', 'policy'],
    ['/route', {}, 400, 'REQUEST_INVALID', 'body event'],
    ['/route', { event: { data: {} } }, 400, 'REQUEST_INVALID', 'body event.type'],
  ])('POST %s with %j: %i %s', async (path, body, status, code, where) => {
    const { at } = await shop()
    const refused = await problem(await post(at, path, body))
    expect(refused).toMatchObject({ status, code })
    expect(refused.where).toEqual(typeof where === 'string' ? where : expect.stringMatching(where))
    const { changes } = (await (await get(at, '/rules/changes')).json()) as { changes: readonly object[] }
    expect(changes).toEqual([])
  })

  test.each([
    ['/rules/show', 400, 'REQUEST_INVALID'],
    ['/rules/show?name=nobody', 404, 'RULE_UNKNOWN'],
    ['/rules/show?name=drop&other=1', 400, 'REQUEST_INVALID'],
    ['/rules/changes?limit=0', 400, 'REQUEST_INVALID'],
    ['/rules/changes?from=first', 400, 'REQUEST_INVALID'],
  ])('GET %s: %i %s', async (path, status, code) => {
    const { at } = await shop()
    expect(await problem(await get(at, path))).toMatchObject({ status, code })
  })

  test('marks and changes cannot be published from outside', async () => {
    const { at } = await shop()
    for (const type of ['millrace.rules.mark', 'millrace.rules.changed', 'millrace.rules.marks']) {
      const event = { specversion: '1.0', id: '1', source: '/', type, data: {} }
      const refused = await fetch(`${at.url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/cloudevents+json' },
        body: JSON.stringify(event),
      })
      expect(await problem(refused)).toMatchObject({ code: 'EVENT_TYPE_UNKNOWN' })
    }
  })
})

test('an event of a type that nobody declared is explained, too', async () => {
  const { at } = await shop()
  const route = await (await post(at, '/route', { event: { type: 'no.such', subject: 'a' } })).json()
  expect(route).toMatchObject({ topic: 'shop', handlers: [{ matches: false, nearly: false }] })
})
