import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Started, Workplace } from './process.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const log = ['--log', 'lmdb:log']

/** A `tail --follow` that runs; what it wrote so far can be waited for. */
function follow(args: readonly string[]) {
  const child = place.spawn(['tail', '--follow', ...args], {})
  const written = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Uint8Array) => {
    written.stdout += Buffer.from(chunk).toString()
  })
  child.stderr?.on('data', (chunk: Uint8Array) => {
    written.stderr += Buffer.from(chunk).toString()
  })
  const closed = once(child, 'close') as Promise<[number | null]>
  const until = (stream: 'stdout' | 'stderr', pattern: RegExp) =>
    expect.poll(() => written[stream], { timeout: 60_000 }).toMatch(pattern)
  const interrupt = async () => {
    child.kill('SIGINT')
    const [code] = await closed
    return code
  }
  return { written, until, interrupt, closed }
}

function numbersOf(jsonLines: string): readonly number[] {
  return jsonLines
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) =>
        (JSON.parse(line) as { readonly event: { readonly data: { readonly n: number } } }).event.data.n,
    )
}

async function publish({ urls }: Started, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) {
    const event = { specversion: '1.0', id: `n${n}`, source: 'test', type: 'shop.order.placed', data: { n } }
    const response = await fetch(`${urls.platform}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify(event),
    })
    expect(response.status).toBe(202)
  }
}

describe('tail --follow', () => {
  test('shows the newest, then what comes, until it is interrupted, which is no failure', async () => {
    const shop = await place.start(log)
    await publish(shop, [1, 2, 3])
    const tail = follow(['--limit', '2', '--json', '--url', shop.urls.platform])
    await tail.until('stdout', /"n":3/)
    await publish(shop, [4, 5])
    await tail.until('stdout', /"n":5/)
    expect(await tail.interrupt()).toBe(0)
    expect(numbersOf(tail.written.stdout)).toEqual([2, 3, 4, 5])
    expect(tail.written.stderr).toBe('')
  })

  test('shows only the types that are asked for', async () => {
    const shop = await place.start(log)
    await publish(shop, [1])
    const url = ['--url', shop.urls.platform]
    const none = follow(['--type', 'shop.stock.>', '--type', 'shop.*', '--from', 'start', ...url])
    const some = follow(['--type', 'shop.*.placed', '--from', 'start', '--json', ...url])
    await none.until('stderr', /^Following http/)
    await some.until('stdout', /"n":1/)
    await publish(shop, [2])
    await some.until('stdout', /"n":2/)
    expect([await none.interrupt(), await some.interrupt()]).toEqual([0, 0])
    expect(numbersOf(some.written.stdout)).toEqual([1, 2])
    expect(none.written.stdout).toBe('')
  })

  test('goes on exactly where it was when the application is killed and comes back, and says so', async () => {
    const shop = await place.start(log)
    const tail = follow(['--url', shop.urls.platform, '--from', 'start'])
    await publish(shop, [1, 2])
    await tail.until('stdout', /"n":2/)
    shop.child.kill('SIGKILL')
    await shop.ended
    await tail.until('stderr', /^warning: UNREACHABLE: .*connects again/m)
    const again = await place.start([...log, '--platform-port', new URL(shop.urls.platform).port])
    await publish(again, [3])
    await tail.until('stdout', /"n":3/)
    await tail.until('stderr', /^Connected again\.$/m)
    expect(await tail.interrupt()).toBe(0)
    expect(tail.written.stdout.match(/"n":\d/g)).toEqual(['"n":1', '"n":2', '"n":3'])
  })

  test('follows a log that nobody serves, and says what that keeps from happening', async () => {
    await place.run(['publish', 'a.b', '--data', '{"n":1}', '--topic', 't', '--create-topic', ...log])
    const tail = follow([...log])
    await tail.until('stdout', /"n":1/)
    await tail.until('stderr', /no application can be started on it/)
    expect(await tail.interrupt()).toBe(0)
  })

  test.each([
    [['--type', 'a..b'], /^error: COMMAND_INVALID: The pattern 'a\.\.b' has an empty word/],
    [['--from', 'start', '--limit', '3'], /^error: COMMAND_INVALID: .*--limit/],
  ])('with %j is a misuse', async (args, message) => {
    const { code, stderr } = await place.run(['tail', '--follow', ...args, ...log])
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })
})
