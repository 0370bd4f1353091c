import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ended, type Started, Workplace } from './process.ts'

let place: Workplace
let shop: Started
let url: readonly string[]

beforeAll(async () => {
  place = await Workplace.make()
  shop = await place.start(['--log', 'memory:'])
  url = ['--url', shop.urls.platform]
})

afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

function jsonLines({ stdout }: Ended): unknown[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `${JSON.stringify({ n: from + index })}\n`).join('')
}

const type = ['--type', 'shop.order.placed']

describe('publish', () => {
  test('says where the event is, once it is durable', async () => {
    const data = ['--data', '{"n":1,"sku":"published"}']
    const human = await place.run(['publish', 'shop.order.placed', ...data, ...url])
    expect(human).toMatchObject({ code: 0, stderr: '' })
    expect(human.stdout).toMatch(/^shop\.order\.placed \S+ is durable: shop, partition \d+, offset \d+\n$/)
  })

  test('with an id is idempotent', async () => {
    const args = ['publish', 'shop.order.placed', '--data', '-', '--id', 'once', '--json', ...url]
    const [first] = jsonLines(await place.run(args, { input: '{"n":2}' }))
    const [second] = jsonLines(await place.run(args, { input: '{"n":2}' }))
    expect(first).toMatchObject({ topic: 'shop', duplicate: false, id: 'once' })
    expect(second).toEqual({ ...(first as object), duplicate: true })
  })

  test('reads its data from a file', async () => {
    await writeFile(place.path('order.json'), '{"n":3}')
    const { code } = await place.run(['publish', 'shop.order.placed', '--data', '@order.json', ...url])
    expect(code).toBe(0)
    const missing = await place.run(['publish', 'shop.order.placed', '--data', '@nowhere.json', ...url])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toMatch(/^error: FILE_UNREADABLE: .*there is no such file\. \(nowhere\.json\)/)
  })
})

describe('ingest', () => {
  test('takes JSON lines, an array and gzip of both, from files and standard input, and adds nothing twice', async () => {
    const text = lines(1000, 2500)
    const array = `[${text.trim().split('\n').join(',\n')}]`
    const forms = [text, array, gzipSync(text), gzipSync(array)]
    for (const [index, form] of forms.entries()) {
      const file = place.path(`form-${index}`)
      await writeFile(file, form)
      const source = ['--source', `/form/${index}`]
      const first = await place.run(['ingest', file, ...type, ...source, '--json', ...url])
      expect(jsonLines(first)).toEqual([{ file, lines: 1500, added: 1500, known: 0, skipped: 0 }])
      const again = await place.run(['ingest', '-', ...type, ...source, '--json', ...url], { input: form })
      expect(jsonLines(again)).toEqual([{ file: '-', lines: 1500, added: 0, known: 1500, skipped: 0 }])
    }
  })

  test('goes on where a file has grown', async () => {
    const file = place.path('growing')
    await writeFile(file, lines(5000, 5700))
    await place.run(['ingest', file, ...type, ...url])
    await writeFile(file, lines(5000, 6700))
    const { stdout } = await place.run(['ingest', file, ...type, ...url])
    expect(stdout).toBe(`${file}: 1700 lines, 1000 added, 700 in the log already, 0 refused and skipped\n`)
  })

  test('stops at a line that is refused, and names it; with skip it goes on and reports each', async () => {
    const file = place.path('faulty')
    await writeFile(file, `{"n":8000}\n{"n":"8001"}\n{"n":8002}\nnot json\n{"n":8004}\n`)
    const stopped = await place.run(['ingest', file, ...type, ...url])
    expect(stopped).toMatchObject({ code: 1, stdout: '' })
    expect(stopped.stderr).toMatch(/^error: DATA_INVALID: .*faulty, line 2, data\.n.*--on-error skip\.\n$/)
    const skipping = ['ingest', file, ...type, '--on-error', 'skip', '--json', ...url]
    const skipped = await place.run(skipping)
    expect(skipped.code).toBe(0)
    expect(jsonLines(skipped)).toEqual([{ file, lines: 5, added: 2, known: 1, skipped: 2 }])
    const warnings = skipped.stderr.trim().split('\n')
    expect(warnings.map((line) => JSON.parse(line))).toMatchObject([
      { warning: { code: 'DATA_INVALID', facts: { line: 2 } } },
      { warning: { code: 'JSON_INVALID', facts: { line: 4 } } },
    ])
  })

  test('an unknown event type stops it at once, also with skip', async () => {
    const args = ['ingest', '-', '--type', 'shop.unknown', '--on-error', 'skip', ...url]
    const { code, stderr } = await place.run(args, { input: lines(0, 3) })
    expect(code).toBe(1)
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^error: EVENT_TYPE_UNKNOWN: .*\(--type\)/),
    ])
  })

  test('broken gzip and missing files are FILE_UNREADABLE', async () => {
    const cut = gzipSync(lines(0, 500)).subarray(0, 200)
    const broken = await place.run(['ingest', '-', ...type, ...url], { input: cut })
    const missing = await place.run(['ingest', 'nowhere', ...type, ...url])
    for (const { code, stderr } of [broken, missing]) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: FILE_UNREADABLE: .*\n$/)
    }
  })
})

describe('tail', () => {
  test('says so when there is nothing to show', async () => {
    const { code, stdout, stderr } = await place.run(['tail', '--from', '2099-01-01', ...url])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toBe(`There are no records from there on in ${shop.urls.platform}.\n`)
  })

  test('with --json writes a line for each record, with its place and its event', async () => {
    const tailed = await place.run(['tail', '--limit', '3', '--json', ...url])
    const records = jsonLines(tailed)
    expect(records).toHaveLength(3)
    for (const record of records) {
      expect(Object.keys(record as object)).toEqual(['topic', 'partition', 'offset', 'event'])
      expect(record).toMatchObject({
        topic: 'shop',
        event: { specversion: '1.0', type: 'shop.order.placed' },
      })
    }
  })

  test('begins at the start, at an offset, at a time or at the end', async () => {
    await place.run(['publish', 'shop.order.placed', '--data', '{"n":1}', ...url])
    const [newest] = jsonLines(await place.run(['tail', '--limit', '1', '--json', ...url])) as [
      { readonly partition: number; readonly offset: number },
    ]
    const partition = ['--topic', 'shop', '--partition', String(newest.partition), '--limit', '2', '--json']
    const from = async (at: string) =>
      jsonLines(await place.run(['tail', ...partition, '--from', at, ...url]))
    expect(await from(String(newest.offset))).toEqual([newest])
    const start = await from('start')
    expect(start).toMatchObject([{ offset: 0 }, { offset: 1 }])
    expect(await from('2000-01-01')).toEqual(start)
    expect(await from('2999-01-01T00:00:00Z')).toEqual([])
    expect(await from('end')).toEqual([])
  })

  test('does not mind that its reader goes away', async () => {
    const child = place.spawn(['tail', '--from', 'start', ...url], {})
    let stderr = ''
    child.stderr?.on('data', (chunk: Uint8Array) => {
      stderr += Buffer.from(chunk).toString()
    })
    child.stdout?.once('data', () => child.stdout?.destroy())
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('inspect', () => {
  test('shows the topics with their bounds, and what the handlers do', async () => {
    const [shown] = jsonLines(await place.run(['inspect', '--json', ...url])) as [
      { readonly topics: readonly { readonly name: string; readonly partitions: readonly unknown[] }[] },
    ]
    expect(shown).toMatchObject({
      location: shop.urls.platform,
      running: true,
      handlers: [{ name: 'count' }],
    })
    const topic = shown.topics.find(({ name }) => name === 'shop')
    expect(topic?.partitions).toHaveLength(16)
    const human = await place.run(['inspect', ...url])
    expect(human.stdout).toMatch(/^topic +partitions +offsets +bytes$/m)
    expect(human.stdout).toMatch(/^count +\d+/m)
  })
})

describe('failure', () => {
  test('with --json an error is an object on standard error', async () => {
    const { code, stderr } = await place.run([
      'publish',
      'shop.order.placed',
      '--data',
      '{"n"',
      '--json',
      ...url,
    ])
    expect(code).toBe(1)
    expect(JSON.parse(stderr)).toEqual({
      error: expect.objectContaining({ code: 'JSON_INVALID', where: expect.stringContaining('--data') }),
    })
  })

  test('only --verbose shows the stack', async () => {
    const args = ['publish', 'shop.order.placed', '--data', '{"n":"x"}', ...url]
    const short = await place.run(args)
    expect(short.stderr).toMatch(/^error: DATA_INVALID: [^\n]*data\.n[^\n]*\n$/)
    expect((await place.run([...args, '--verbose'])).stderr).toContain('\n    at ')
  })

  test('an unknown topic, and a URL that nobody or somebody else listens at, are told apart', async () => {
    const topic = await place.run(['tail', '--topic', 'nowhere', ...url])
    expect(topic.stderr).toMatch(/^error: TOPIC_UNKNOWN: .*shop/)
    const other = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const somebody = await place.run(['inspect', '--url', address])
    await new Promise((resolve) => other.close(resolve))
    const nobody = await place.run(['inspect', '--url', address])
    expect(somebody.stderr).toMatch(/^error: UNREACHABLE: .*not one of Millrace/)
    expect(nobody.stderr).toMatch(/^error: UNREACHABLE: Nobody listens there\./)
    expect([topic.code, somebody.code, nobody.code]).toEqual([1, 1, 1])
  })
})
