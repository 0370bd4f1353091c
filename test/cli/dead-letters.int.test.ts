import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Started, Workplace } from './process.ts'

const file = fileURLToPath(new URL('../../examples/dead-letters/app.ts', import.meta.url))

const id = 'print-label/parcels/14/0'

let place: Workplace
let shop: Started
let url: readonly string[]

beforeAll(async () => {
  place = await Workplace.make()
  shop = await place.start(['--log', 'memory:'], { file, environment: { CARRIERS: 'ups' } })
  url = ['--url', shop.urls.platform]
  const data = '{"parcel":"p-1","carrier":"dhl"}'
  await place.run(['publish', 'parcels.packed', '--data', data, ...url])
  await vi.waitFor(async () => expect(await json(['list'])).toMatchObject({ letters: [{ id }] }), 60_000)
})

afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

async function json(args: readonly string[]): Promise<unknown> {
  const { stdout } = await place.run(['dead-letters', ...args, '--json', ...url])
  return JSON.parse(stdout)
}

test('with --json every command answers in one object', async () => {
  expect(await json(['list'])).toMatchObject({
    letters: [{ id }],
    unanswered: [],
  })
  expect(await json(['groups', '--handler', 'print-label'])).toMatchObject({ groups: [{ count: 1 }] })
  expect(await json(['show', id])).toMatchObject({ id, failures: [{ attempt: 1 }, { attempt: 2 }] })
  const dry = { asked: 0, dryRun: true, ids: [id] }
  expect(await json(['redrive', id, '--dry-run'])).toMatchObject(dry)
  expect(await json(['discard', '--all', '--reason', 'why', '--dry-run'])).toMatchObject(dry)
})

test('what still fails when it is redriven is open again', async () => {
  const { atMs } = (await json(['show', id])) as { readonly atMs: number }
  expect(await json(['redrive', '--handler', 'print-label'])).toMatchObject({ asked: 1, ids: [id] })
  const again = async () => ((await json(['show', id])) as { readonly atMs: number }).atMs > atMs
  await expect.poll(again, { timeout: 60_000 }).toBe(true)
})

test.each([
  [['redrive'], 2, 'COMMAND_INVALID'],
  [['redrive', '--all', '--handler', 'print-label'], 2, 'COMMAND_INVALID'],
  [['discard', '--all'], 2, 'COMMAND_INVALID'],
  [['list', '--limit', '0'], 2, 'COMMAND_INVALID'],
  [['list', '--handler', 'nobody'], 1, 'HANDLER_UNKNOWN'],
  [['show', 'print-label/parcels/14/9'], 1, 'DEAD_LETTER_UNKNOWN'],
])('%j ends with %i and %s', async (args, code, expected) => {
  const ended = await place.run(['dead-letters', ...args, ...url])
  expect(ended).toMatchObject({ code, stdout: '' })
  expect(ended.stderr).toContain(expected)
})

test('where no application runs it is UNREACHABLE', async () => {
  const ended = await place.run(['dead-letters', 'list', '--url', 'http://127.0.0.1:1'])
  expect(ended).toMatchObject({ code: 1, stdout: '' })
  expect(ended.stderr).toContain('UNREACHABLE')
})
