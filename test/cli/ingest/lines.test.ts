import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Line, splitItems } from '../../../src/cli/ingest/lines.ts'
import { chunks } from './support.ts'

async function split(text: string, sizes: readonly number[] = [3], maxBytes = 1000): Promise<Line[]> {
  const lines: Line[] = []
  for await (const some of splitItems(chunks(Buffer.from(text), sizes), maxBytes)) lines.push(...some)
  return lines
}

function textOf({ bytes }: Line): string {
  return Buffer.from(bytes).toString()
}

const chunkSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })
const space = fc.stringMatching(/^[ \n\r\t]{0,3}$/)

describe('splitting input into items', () => {
  test('any values on lines come back one by one, with their numbers, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(fc.dictionary(fc.string(), fc.jsonValue())), { minLength: 1 }),
        fc.constantFrom('\n', '\r\n'),
        chunkSizes,
        async (values, ending, sizes) => {
          const text = values.map((value) => (value === null ? '' : JSON.stringify(value))).join(ending)
          const lines = await split(text, sizes, 100_000)
          expect(lines.map((line) => [line.number, JSON.parse(textOf(line))])).toEqual(
            values.flatMap((value, index) =>
              value === null ? [] : [[index + 1, JSON.parse(JSON.stringify(value))]],
            ),
          )
        },
      ),
    )
  })

  test('any JSON array gives its elements as JSON.parse does, whatever the chunks and the white space', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), space, chunkSizes, async (values, blank, sizes) => {
        const elements = values.map((value) => `${blank}${JSON.stringify(value, null, blank)}${blank}`)
        const text = `${blank}[${elements.join(',')}${blank}]${blank}`
        const lines = await split(text, sizes, 100_000)
        expect(lines.map((line) => JSON.parse(textOf(line)))).toEqual(JSON.parse(text))
        expect(lines.map(({ number }) => number)).toEqual(values.map((_, index) => index + 1))
      }),
    )
  })

  test('a byte order mark and blank lines at the start are no part of the first line', async () => {
    const lines = await split('\uFEFF\n\n {"a":1}\n2')
    expect(lines.map((line) => [line.number, textOf(line)])).toEqual([
      [3, '{"a":1}'],
      [4, '2'],
    ])
  })

  test('an item over the bound keeps its first bytes only, and says how long it was', async () => {
    const long = JSON.stringify('x'.repeat(5000))
    const lines = [...(await split(`1\n${long}\n3`, [64], 100)), ...(await split(`[1,${long},3]`, [64], 100))]
    expect(lines.map(({ bytes, totalBytes }) => [bytes.length, totalBytes])).toEqual([
      [1, 1],
      [100, 5002],
      [1, 1],
      [1, 1],
      [100, 5002],
      [1, 1],
    ])
  })

  test('an element that is no JSON does not touch the others', async () => {
    const lines = await split('[{"a":1}, oops, {"b":[2,"],"]}, ]')
    expect(lines.map(textOf)).toEqual(['{"a":1}', 'oops', '{"b":[2,"],"]}', ''])
  })

  test.each(['[1,2', '[{"a":[1,2}', '["a'])('an array that does not end is refused: %s', async (text) => {
    await expect(split(text)).rejects.toMatchObject({ code: 'JSON_INVALID' })
  })

  test('what follows the end of an array is refused', async () => {
    await expect(split('[1]\n[2]')).rejects.toMatchObject({ code: 'JSON_INVALID', where: 'after element 1' })
  })

  test('empty input has no items', async () => {
    expect([...(await split('')), ...(await split(' \n\n')), ...(await split('[ ]'))]).toEqual([])
  })
})
