import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { shopFile, Workplace } from './process.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const log = ['--log', 'lmdb:log']
const type = ['--type', 'shop.order.placed']

function lines(count: number): string {
  return Array.from({ length: count }, (_, n) => `${JSON.stringify({ n, sku: `s${n % 7}` })}\n`).join('')
}

describe('a log that nobody has open', () => {
  test('is opened by the commands, with the schemas and keys of the application', async () => {
    const app = ['--app', shopFile]
    const refused = await place.run(['publish', 'shop.order.placed', '--data', '{"n":"x"}', ...app, ...log])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: DATA_INVALID: /) })
    const data = ['--data', '{"n":1,"sku":"a"}', '--json']
    const { stdout } = await place.run(['publish', 'shop.order.placed', ...data, ...app, ...log])
    const { partition, offset } = JSON.parse(stdout)
    const tailed = await place.run(['tail', '--json', ...log])
    expect(JSON.parse(tailed.stdout)).toMatchObject({
      topic: 'shop',
      partition,
      offset,
      event: { partitionkey: 'a', data: { n: 1, sku: 'a' } },
    })
  })

  test('takes a file once, also when the application is started on it in between', async () => {
    await writeFile(place.path('orders.jsonl'), lines(2500))
    const args = ['ingest', 'orders.jsonl', ...type, '--json']
    const here = await place.run([...args, '--app', shopFile, ...log])
    expect(JSON.parse(here.stdout)).toMatchObject({ added: 2500, known: 0 })
    const { urls, child, ended } = await place.start(log)
    const there = await place.run([...args, '--url', urls.platform])
    expect(JSON.parse(there.stdout)).toMatchObject({ added: 0, known: 2500 })
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('is not made by a command that only looks', async () => {
    const { code, stderr } = await place.run(['tail', ...log])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: UNREACHABLE: There is no log in 'log'/)
  })
})

describe('a log that a process has open', () => {
  test('is LOG_IN_USE to a command that opens it', async () => {
    const { child } = await place.start(log)
    const { code, stderr } = await place.run(['inspect', ...log])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: LOG_IN_USE: /)
    expect(stderr).toContain(String(child.pid))
  })

  test('is had by the next process right after its owner was killed', async () => {
    const { child } = await place.start(log)
    child.kill('SIGKILL')
    const { code } = await place.run(['inspect', ...log])
    expect(code).toBe(0)
  })

  test('goes on being ingested into when its process is killed and comes back', async () => {
    const { urls, child, ended } = await place.start(log)
    const args = ['ingest', '-', ...type, '--json', '--url', urls.platform]
    const ingesting = place.spawn(args, {})
    const code = new Promise((resolve) => ingesting.once('close', resolve))
    const text = lines(9000)
    const third = text.length / 3
    ingesting.stdin?.write(text.slice(0, third))
    await expect.poll(() => recordsAt(urls.platform), { timeout: 60_000 }).toBeGreaterThanOrEqual(2000)
    child.kill('SIGKILL')
    await ended
    ingesting.stdin?.write(text.slice(third, 2 * third))
    const again = await place.start([...log, '--platform-port', new URL(urls.platform).port])
    ingesting.stdin?.end(text.slice(2 * third))
    expect(await code).toBe(0)
    expect(await recordsAt(again.urls.platform)).toBe(9000)
    const second = await place.run(args, { input: text })
    expect(JSON.parse(second.stdout)).toMatchObject({ added: 0, known: 9000 })
  })
})

async function recordsAt(url: string): Promise<number> {
  const response = await fetch(`${url}/topics`)
  const { topics } = (await response.json()) as {
    readonly topics: readonly {
      readonly name: string
      readonly partitions: readonly { readonly end: number }[]
    }[]
  }
  const shop = topics.find(({ name }) => name === 'shop')
  return (shop?.partitions ?? []).reduce((total, { end }) => total + end, 0)
}
