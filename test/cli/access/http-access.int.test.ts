import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { httpAccess, listens } from '../../../src/cli/access/http-access.ts'
import type { Event } from '../../../src/core/event.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

let server: Server | undefined

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)))
  server = undefined
})

async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const event = {
  specversion: '1.0',
  id: '1',
  source: 's',
  type: 't',
  time: '2026-01-01T00:00:00Z',
  data: 1,
} as Event

describe('a log over HTTP', () => {
  test('gives up a process that does not answer', async () => {
    const runtime = new ManualRuntime()
    const asked = Promise.withResolvers<void>()
    const url = await serve(() => asked.resolve())
    const answer = listens(url, runtime)
    await asked.promise
    runtime.advance(5000)
    await expect(answer).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('5000 ms'),
    })
  })

  test('is not had from the port of the application itself', async () => {
    const url = await serve((_, response) => response.writeHead(404).end('{"code":"NOT_FOUND"}'))
    await expect(listens(url, new ManualRuntime())).rejects.toMatchObject({
      code: 'UNREACHABLE',
      where: url,
      fix: expect.stringContaining('platform port'),
    })
  })

  test('gives an error as the process had it, with the index of the event that it is about', async () => {
    const problem = {
      code: 'DATA_INVALID',
      detail: 'It does not match.',
      where: '[3].data.n',
      fix: 'Send a number.',
      facts: { issues: [] },
    }
    const url = await serve((_request, response) => response.writeHead(400).end(JSON.stringify(problem)))
    await expect(httpAccess(url).append([event], undefined)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: 'It does not match.',
      where: '[3].data.n',
      fix: 'Send a number.',
      facts: { issues: [], index: 3 },
    })
  })

  test('takes a code that it does not know for somebody else', async () => {
    const url = await serve((_request, response) => response.writeHead(500).end('{"code":"toString"}'))
    await expect(httpAccess(url).topics()).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test('gives bytes as they were', async () => {
    const stored = { ...event, data: undefined, data_base64: 'AP8=' }
    const page = { records: [{ topic: 'a', partition: 0, offset: 0, event: stored }], next: 1 }
    const url = await serve((_request, response) => response.end(JSON.stringify(page)))
    const { records } = await httpAccess(`${url}/`).read({ topic: 'a', partition: 0 }, 0, 10)
    expect(records[0]?.event).toEqual({ ...event, data: new Uint8Array([0, 255]) })
  })
})
