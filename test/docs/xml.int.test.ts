import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace } from '../cli/process.ts'

const file = fileURLToPath(new URL('../../examples/xml/app.ts', import.meta.url))
const page = readFileSync('docs/xml.md', 'utf8')
const [, block = ''] = /^```sh\n(.*?)^```$/ms.exec(page) ?? []
const commands = block.trim().split('\n')

const argumentsOf = (line = '') =>
  [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word).slice(2)

test('docs/xml.md shows examples/xml/app.ts as it is run', () => {
  expect(page).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
})

test('the commands of docs/xml.md do what the page says', async () => {
  await using place = await Workplace.make()
  expect(argumentsOf(commands[0])).toEqual(['start', 'examples/xml/app.ts'])
  const { urls } = await place.start([], { file })
  const run = (...args: readonly string[]) => place.run([...args, '--url', urls.platform])
  expect(await run(...argumentsOf(commands[1]))).toMatchObject({ code: 0 })
  const tail = async () => (await run(...argumentsOf(commands[2]))).stdout
  await expect.poll(tail, { timeout: 60_000 }).toContain('"data":{"order":"o-1","sku":"tea","quantity":2}')
})

test('XML is published from a file, with its encoding, and refused with what is wrong', async () => {
  await using place = await Workplace.make()
  const log = ['--log', 'lmdb:log', '--content-type', 'application/xml', '--app', file]
  const publish = (data: string, input: string | Uint8Array) =>
    place.run(['publish', 'edi.order.received', '--data', data, ...log], { input })
  const latin = '<?xml version="1.0" encoding="ISO-8859-1"?><order id="é"><item sku="tea">2</item></order>'
  expect(await publish('-', Buffer.from(latin, 'latin1'))).toMatchObject({ code: 0 })
  const { stdout } = await place.run(['tail', '--json', '--log', 'lmdb:log'])
  expect(JSON.parse(stdout).event).toMatchObject({ partitionkey: 'é', data: latin })
  expect(await publish('<order>', '')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: XML_INVALID: .*line 1, column 7/),
  })
})

test('a line of a file of CloudEvents may carry XML as text or as bytes', async () => {
  await using place = await Workplace.make()
  const attributes = { specversion: '1.0', type: 'edi.order.received', datacontenttype: 'text/xml' }
  const text = '<order id="1"><item sku="a">1</item></order>'
  const lines = [
    { ...attributes, id: '1', data: text },
    { ...attributes, id: '2', data_base64: Buffer.from(text).toString('base64') },
  ]
  const input = lines.map((line) => JSON.stringify(line)).join('\n')
  for (const declared of [
    ['--app', file],
    ['--topic', 'raw', '--create-topic'],
  ]) {
    const log = ['--log', `lmdb:log-${declared.length}`]
    expect(await place.run(['ingest', '-', ...declared, ...log], { input })).toMatchObject({ code: 0 })
    const { stdout } = await place.run(['tail', '--json', ...log])
    const stored = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event.data)
    expect(stored).toEqual([text, text])
  }
})
