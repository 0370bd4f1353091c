import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { http, type RouteDefinition } from '../../src/app/http.ts'
import { on } from '../../src/bus/definitions.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { event } from '../../src/core/event.ts'
import { type AppServerOptions, type Listening, type Problem, serveApp } from '../../src/gateway/index.ts'
import { endAfterTest, keepingLogger, startInMemory } from './support.ts'

const OrderPlaced = event('order.placed', {
  schema: z.object({ sku: z.string(), quantity: z.int().positive() }),
  key: (data) => data.sku,
})

const countOrders = on(
  OrderPlaced,
  { name: 'count-orders', from: 'start', state: { ordered: z.int().default(0) } },
  async ({ data }, ctx) => ctx.state.ordered.set((await ctx.state.ordered.get()) + data.quantity),
)

async function serve(routes: readonly RouteDefinition[], options: AppServerOptions = {}) {
  const { logger, lines } = keepingLogger()
  const running = await startInMemory({ name: 'shop', handlers: [countOrders], routes }, { logger })
  const at = await serveApp(running, { port: 0, ...options })
  endAfterTest(() => at.close())
  return { running, at, lines }
}

function postJson(url: string, body: unknown, type = 'application/json'): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) })
}

async function problem(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  return (await response.json()) as Problem
}

describe('what a route is given', () => {
  test('parameters are decoded, and the URL and headers are whole', async () => {
    const { at } = await serve([
      http.get('/airports/:code/gates/:gate', {}, (request) =>
        Response.json({
          params: request.params,
          method: request.method,
          query: request.url.searchParams.getAll('q'),
          host: request.url.host,
          header: request.headers.get('x-test'),
        }),
      ),
    ])
    const response = await fetch(`${at.url}/airports/Z%C3%BCrich%2FZRH/gates/${'g'.repeat(300)}?q=1&q=%202`, {
      headers: { 'X-Test': 'yes' },
    })
    expect(await response.json()).toEqual({
      params: { code: 'Zürich/ZRH', gate: 'g'.repeat(300) },
      method: 'GET',
      query: ['1', ' 2'],
      host: `127.0.0.1:${at.port}`,
      header: 'yes',
    })
  })

  test('a body that matches its schema arrives as the schema gives it', async () => {
    const schema = z.object({ count: z.coerce.number().default(7) })
    const { at } = await serve([
      http.post('/things', { body: schema }, (request) => Response.json({ sum: request.body.count + 1 })),
    ])
    expect(await (await postJson(`${at.url}/things`, {})).json()).toEqual({ sum: 8 })
    const custom = await postJson(`${at.url}/things`, { count: '1' }, 'application/vnd.thing+json')
    expect(await custom.json()).toEqual({ sum: 2 })
  })

  test('a route without a schema gets no body, whatever was sent', async () => {
    const { at } = await serve([
      http.post('/things', {}, (request) => Response.json({ body: typeof request.body })),
    ])
    const response = await fetch(`${at.url}/things`, { method: 'POST', body: 'not { json' })
    expect(await response.json()).toEqual({ body: 'undefined' })
  })

  test('publishing resolves with the place of the event, which is in the log', async () => {
    const { running, at } = await serve([
      http.post('/orders', { body: OrderPlaced.schema }, async (request, ctx) => {
        const { topic, partition, offset } = await ctx.publish(OrderPlaced, request.body)
        return Response.json({ topic, partition, offset, now: ctx.now() }, { status: 202 })
      }),
    ])
    const before = running.runtime.now()
    const response = await postJson(`${at.url}/orders`, { sku: 'tea', quantity: 1 })
    expect(response.status).toBe(202)
    const place = (await response.json()) as { topic: string; partition: number; offset: number; now: number }
    expect(place.now).toBeGreaterThanOrEqual(before)
    expect((await running.engine.bounds(place)).end).toBe(place.offset + 1)
  })

  test('an event can be sent to one handler, and waited for', async () => {
    const { running, at } = await serve([
      http.post('/counts', { body: OrderPlaced.schema }, async (request, ctx) => {
        await ctx.send(countOrders, OrderPlaced, request.body, { wait: 'handled' })
        return Response.json(await ctx.read(countOrders, request.body.sku))
      }),
      http.post('/misses', { body: OrderPlaced.schema }, async (request, ctx) => {
        await ctx.send('nobody', OrderPlaced, request.body)
        return new Response(null)
      }),
    ])
    const response = await postJson(`${at.url}/counts`, { sku: 'tea', quantity: 4 })
    expect(await response.json()).toEqual({ ordered: 4 })
    expect(await problem(await postJson(`${at.url}/misses`, { sku: 'tea', quantity: 1 }))).toMatchObject({
      code: 'HANDLER_UNKNOWN',
      status: 404,
    })
    await running.settled()
  })

  test('the state that a handler keeps for a key can be read', async () => {
    const { running, at } = await serve([
      http.get('/stock/:sku', {}, async (request, ctx) =>
        Response.json(await ctx.read(countOrders, request.params.sku)),
      ),
    ])
    await running.publish(OrderPlaced, { sku: 'tea', quantity: 2 })
    await running.publish(OrderPlaced, { sku: 'tea', quantity: 3 })
    await running.settled()
    expect(await (await fetch(`${at.url}/stock/tea`)).json()).toEqual({ ordered: 5 })
    expect(await (await fetch(`${at.url}/stock/milk`)).json()).toEqual({ ordered: 0 })
  })

  test('the signal is aborted when the client goes', async () => {
    const aborted = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const { at, lines } = await serve([
      http.get('/slow', {}, async (_request, ctx) => {
        entered.resolve()
        await once(ctx.signal, 'abort')
        aborted.resolve()
        throw ctx.signal.reason
      }),
    ])
    const client = new AbortController()
    const answered = fetch(`${at.url}/slow`, { signal: client.signal })
    await entered.promise
    client.abort()
    await expect(answered).rejects.toThrow()
    await aborted.promise
    await at.close()
    expect(lines).toEqual([])
  })
})

describe('what a route answers', () => {
  test('status, headers, every cookie and the body arrive as the Response has them', async () => {
    const { at } = await serve([
      http.get('/', {}, () => {
        const headers = new Headers({ 'x-made-by': 'route', 'content-type': 'text/x-special' })
        headers.append('set-cookie', 'a=1; Path=/')
        headers.append('set-cookie', 'b=2, 3')
        return new Response('the body', { status: 418, headers })
      }),
    ])
    const response = await fetch(`${at.url}/`)
    expect(response.status).toBe(418)
    expect(response.headers.get('x-made-by')).toBe('route')
    expect(response.headers.get('content-type')).toBe('text/x-special')
    expect(response.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2, 3'])
    expect(await response.text()).toBe('the body')
  })

  test('an answer without a body has none', async () => {
    const { at } = await serve([http.delete('/things/:id', {}, () => new Response(null, { status: 204 }))])
    const response = await fetch(`${at.url}/things/1`, { method: 'DELETE' })
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
  })

  test('a body that streams is sent as it is made', async () => {
    const first = Promise.withResolvers<void>()
    const { at } = await serve([
      http.get('/stream', {}, () => {
        async function* parts() {
          yield new TextEncoder().encode('first ')
          await first.promise
          yield new TextEncoder().encode('second')
        }
        return new Response(ReadableStream.from(parts()))
      }),
    ])
    const response = await fetch(`${at.url}/stream`)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe('first ')
    first.resolve()
    expect((await reader?.read())?.value).toBe('second')
  })

  test('a stream that fails midway ends the connection and is logged', async () => {
    const seen = Promise.withResolvers<void>()
    const { at, lines } = await serve([
      http.get('/stream', {}, () => {
        async function* parts() {
          yield new TextEncoder().encode('first ')
          await seen.promise
          throw new Error('midway')
        }
        return new Response(ReadableStream.from(parts()))
      }),
    ])
    const response = await fetch(`${at.url}/stream`)
    seen.resolve()
    await expect(response.text()).rejects.toThrow()
    await at.close()
    expect(lines).toMatchObject([{ level: 'error', fields: { err: { message: 'midway' }, url: '/stream' } }])
  })

  test('HEAD is answered by the GET route, without its body', async () => {
    const cancelled = Promise.withResolvers<void>()
    const { at } = await serve([
      http.get('/endless', {}, () => {
        const body = new ReadableStream({ cancel: () => cancelled.resolve() })
        return new Response(body, { headers: { 'x-here': 'yes' } })
      }),
    ])
    const response = await fetch(`${at.url}/endless`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-here')).toBe('yes')
    await cancelled.promise
  })
})

describe('what is refused', () => {
  const schema = z.object({ lines: z.array(z.object({ sku: z.string() })) })
  const routes = [
    http.post('/orders', { body: schema }, () => new Response()),
    http.get('/orders/:id', {}, () => new Response()),
    http.put('/orders/:number', {}, () => new Response()),
    http.get('/files/*', {}, () => new Response()),
  ]

  test('a body that its schema refuses, with the path', async () => {
    const { at } = await serve(routes)
    const response = await postJson(`${at.url}/orders`, { lines: [{ sku: 'a' }, { sku: 1 }] })
    expect(await problem(response)).toMatchObject({
      status: 400,
      code: 'DATA_INVALID',
      where: 'body.lines.1.sku',
    })
  })

  test.each([
    ['text/plain', '{}', 415, 'CONTENT_TYPE_UNSUPPORTED', 'header content-type'],
    ['', '{}', 415, 'CONTENT_TYPE_UNSUPPORTED', 'header content-type'],
    ['application/json', '{"a"', 400, 'JSON_INVALID', 'body, line 1, column 5'],
    ['application/json', '', 400, 'JSON_INVALID', 'body, line 1, column 1'],
    ['application/json', '                    ', 413, 'BODY_TOO_LARGE', 'body'],
  ])('a body of type %j: %j', async (type, body, status, code, where) => {
    const { at } = await serve(routes, { maxBodyBytes: 10 })
    const response = await fetch(`${at.url}/orders`, {
      method: 'POST',
      headers: type === '' ? {} : { 'content-type': type },
      body: new TextEncoder().encode(body),
    })
    expect(await problem(response)).toMatchObject({ status, code, where })
  })

  test('a path that is no route', async () => {
    const { at } = await serve(routes)
    expect(await problem(await fetch(`${at.url}/orders/1/2`))).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    })
    const malformed = await fetch(`${at.url}/orders/%zz`)
    expect(await problem(malformed)).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
  })

  test.each([
    ['/orders', 'GET', 'POST'],
    ['/orders/1', 'POST', 'HEAD, GET, PUT'],
    ['/files/a/b', 'PATCH', 'HEAD, GET'],
  ])('%s does not take %s', async (path, method, allow) => {
    const { at } = await serve(routes)
    const response = await fetch(`${at.url}${path}`, { method })
    expect(response.headers.get('allow')).toBe(allow)
    expect(await problem(response)).toMatchObject({
      status: 405,
      code: 'METHOD_NOT_ALLOWED',
      where: 'method',
      fix: `Use ${allow.replace('HEAD, ', '').replace(', ', ' or ')}.`,
    })
  })

  test('what a route throws on purpose is answered with its status', async () => {
    const { at, lines } = await serve([
      http.get('/', {}, () => {
        throw new MillraceError('NOT_FOUND', 'No such airport.', { where: 'code', fix: 'Use an IATA code.' })
      }),
    ])
    expect(await problem(await fetch(`${at.url}/`))).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
      detail: 'No such airport.',
      where: 'code',
      fix: 'Use an IATA code.',
    })
    expect(lines).toEqual([])
  })

  test('stacks in the facts of an error stay in the process', async () => {
    const error = { name: 'Error', message: 'no printer', stack: 'Error: no printer\n    at /home/me/app.ts' }
    const { at } = await serve([
      http.get('/', {}, () => {
        throw new MillraceError('HANDLER_FAILED', 'It gave up.', { facts: { handler: 'label', error } })
      }),
    ])
    const answered = (await (await fetch(`${at.url}/`)).json()) as { readonly facts: unknown }
    expect(answered.facts).toEqual({ handler: 'label', error: { name: 'Error', message: 'no printer' } })
  })

  test('anything else that it throws is 500, told to the log alone', async () => {
    const secret = Object.assign(new Error('the secret'), { statusCode: 404 })
    const { at, lines } = await serve([http.get('/', {}, () => Promise.reject(secret))])
    const answered = await problem(await fetch(`${at.url}/`))
    expect(answered).toMatchObject({ status: 500, code: 'INTERNAL' })
    expect(JSON.stringify(answered)).not.toContain('secret')
    expect(lines).toMatchObject([{ level: 'error', fields: { err: secret } }])
  })

  test('a route that returns no Response is 500', async () => {
    const { at, lines } = await serve([http.get('/', {}, () => ({}) as Response)])
    expect((await fetch(`${at.url}/`)).status).toBe(500)
    expect(lines).toMatchObject([{ fields: { err: { message: 'route GET / must return a Response' } } }])
  })

  test('an application with one route twice', async () => {
    const route = http.get('/twice', {}, () => new Response())
    const running = await startInMemory({ name: 'shop', routes: [route, route] })
    await expect(serveApp(running, { port: 0 })).rejects.toMatchObject({
      code: 'APP_INVALID',
      where: 'route GET /twice',
    })
  })

  test('a port that is taken', async () => {
    const { running, at } = await serve(routes)
    await expect(serveApp(running, { port: at.port })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })
})

describe('closing', () => {
  function slowRoute() {
    const entered = Promise.withResolvers<AbortSignal>()
    const release = Promise.withResolvers<void>()
    const route = http.get('/slow', {}, async (_request, ctx) => {
      entered.resolve(ctx.signal)
      await release.promise
      return new Response('done')
    })
    return { route, entered: entered.promise, release: () => release.resolve() }
  }

  test('lets requests in flight finish, and takes no new connection', async () => {
    const { route, entered, release } = slowRoute()
    const { at } = await serve([route])
    const answered = fetch(`${at.url}/slow`)
    await entered
    const closed = at.close()
    const refused = connect(at.port, '127.0.0.1')
    await expect(once(refused, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    release()
    const response = await answered
    expect(await response.text()).toBe('done')
    expect(response.headers.get('connection')).toBe('close')
    await closed
  })

  test('cuts off what does not finish in time, and closing twice is fine', async () => {
    const { route, entered, release } = slowRoute()
    const { at } = await serve([route], { drainMs: 0 })
    const answered = expect(fetch(`${at.url}/slow`)).rejects.toThrow()
    const signal = await entered
    const aborted = once(signal, 'abort')
    await Promise.all([at.close(), at.close()])
    await answered
    await aborted
    release()
  })

  test('does not wait for a connection that is idle', async () => {
    const { at }: { at: Listening } = await serve([http.get('/', {}, () => new Response('ok'))])
    await (await fetch(`${at.url}/`)).text()
    await at.close()
  })
})
