import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { command, failed } from '../../src/core/command.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { problem, structured, type Taken } from './platform-support.ts'
import { endAfterTest, startInMemory } from './support.ts'

const Reserve = command('shop.reserve', {
  schema: z.object({ sku: z.string(), quantity: z.int() }),
  key: ({ sku }) => sku,
  result: z.object({ left: z.number() }),
  failure: z.object({ reason: z.string() }),
})

/** A shop that reserves up to five; for none it waits, and for less it is out of order. */
async function serve() {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  const reserve = on(Reserve, { name: 'reserve' }, async ({ data: { quantity } }) => {
    if (quantity === 0) await opened
    if (quantity < 0) throw new TerminalError('out of order')
    return quantity > 5 ? failed({ reason: 'sold out' }) : { left: 5 - quantity }
  })
  const running = await startInMemory({ name: 'shop', handlers: [reserve] })
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  return { running, at, open }
}

async function submit(at: Listening, quantity: number): Promise<string> {
  const event = { specversion: '1.0', id: `q${quantity}`, source: 'test', type: Reserve.type }
  const response = await structured(at, { ...event, data: { sku: 'tea', quantity } })
  const taken = (await response.json()) as { records: (Taken['records'][number] & { resultId: string })[] }
  return taken.records[0]?.resultId ?? ''
}

const fetchResult = (at: Listening, id: string) => fetch(`${at.url}/results/${id}`)

describe('GET /results/:id', () => {
  test('is 200 with the result or the failure of a command that came over HTTP', async () => {
    const { running, at } = await serve()
    const ids = [await submit(at, 2), await submit(at, 9)]
    await running.settled()
    const answers = await Promise.all(ids.map((id) => fetchResult(at, id)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual([
      { ok: true, result: { left: 3 } },
      { ok: false, failure: { reason: 'sold out' } },
    ])
  })

  test('is 202 while the command is still to be handled', async () => {
    const { running, at, open } = await serve()
    const id = await submit(at, 0)
    const pending = await fetchResult(at, id)
    expect(pending.status).toBe(202)
    expect(pending.headers.get('retry-after')).toBe('1')
    expect(await pending.json()).toEqual({ pending: true })
    open()
    await running.settled()
    expect((await fetchResult(at, id)).status).toBe(200)
  })

  test('is 502 HANDLER_FAILED while its dead letter is open, without the stack', async () => {
    const { running, at } = await serve()
    const id = await submit(at, -1)
    await running.settled()
    const failure = await problem(await fetchResult(at, id))
    expect(failure).toMatchObject({ status: 502, code: 'HANDLER_FAILED', facts: { resultId: id } })
    expect(JSON.stringify(failure)).not.toContain('results.int.test.ts')
  })

  test.each(['nonsense', 'shop.0.99', 'shop.99.0', '%00', 'a'.repeat(2_000)])(
    'is 404 RESULT_UNKNOWN for %j',
    async (id) => {
      const { at } = await serve()
      expect(await problem(await fetchResult(at, id))).toMatchObject({ status: 404, code: 'RESULT_UNKNOWN' })
    },
  )

  test('takes no other method, and no longer path', async () => {
    const { at } = await serve()
    const posted = await fetch(`${at.url}/results/shop.0.0`, { method: 'POST' })
    expect(await problem(posted)).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
    expect(await problem(await fetchResult(at, 'a/b'))).toMatchObject({ status: 404, code: 'NOT_FOUND' })
  })
})
