import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CsvOptions, splitCsv } from '../../../src/cli/ingest/csv.ts'
import { ingest } from '../../../src/cli/ingest/ingest.ts'
import type { Line } from '../../../src/cli/ingest/lines.ts'
import { chunks, forgetfulLog, numbers } from './support.ts'

const plain: CsvOptions = { delimiter: ',', types: new Map(), maxBytes: 100_000 }

async function split(
  text: string | Uint8Array,
  options: Partial<CsvOptions> = {},
  sizes: readonly number[] = [3],
): Promise<Line[]> {
  const lines: Line[] = []
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  for await (const some of splitCsv(chunks(bytes, sizes), { ...plain, ...options })) lines.push(...some)
  return lines
}

/** What each row is: its line, and its value or what is wrong with it. */
function told(lines: readonly Line[]): readonly (readonly [number, unknown])[] {
  return lines.map(({ number, bytes, problem }) => [
    number,
    problem === undefined
      ? JSON.parse(Buffer.from(bytes).toString())
      : `${problem.code} ${problem.where ?? ''}`.trim(),
  ])
}

describe('CSV', () => {
  test('any table comes back, each row at the line where it begins, whatever the chunks', async () => {
    const cell = fc.string({
      unit: fc.constantFrom('a', 'ü', ',', '"', '\n', '\r\n', ' ', '\\', '𝄞'),
      maxLength: 6,
    })
    const rows = fc.array(fc.tuple(cell, cell), { maxLength: 8 })
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(rows, fc.constantFrom('\n', '\r\n'), sizes, async (table, ending, parts) => {
        const quoted = table.map((cells) => cells.map((text) => `"${text.replaceAll('"', '""')}"`).join(','))
        const text = ['first,second', ...quoted].join(ending)
        const starts: number[] = []
        let line = 2
        for (const row of quoted) {
          starts.push(line)
          line += 1 + (row.match(/\n/g)?.length ?? 0)
        }
        expect(told(await split(text, {}, parts))).toEqual(
          table.map(([first, second], index) => [starts[index], { first, second }]),
        )
      }),
    )
  })

  test('cells are text unless their column has a type, and an empty one of another type is left out', async () => {
    const types = new Map([
      ['n', 'number'],
      ['paid', 'boolean'],
    ] as const)
    expect(told(await split('n,paid,zip\n1.5,TRUE,01\n,,\n-2,false,2e3\n', { types }))).toEqual([
      [2, { n: 1.5, paid: true, zip: '01' }],
      [3, { zip: '' }],
      [4, { n: -2, paid: false, zip: '2e3' }],
    ])
  })

  test('a byte order mark, blank lines and another delimiter are understood', async () => {
    expect(told(await split('\uFEFFa;b\n\n1;2\n\n\n3;4', { delimiter: ';' }))).toEqual([
      [3, { a: '1', b: '2' }],
      [6, { a: '3', b: '4' }],
    ])
  })

  test('a row that can be no event is told with its line, and those behind it are read', async () => {
    const types = new Map([['n', 'number']] as const)
    const text = Buffer.concat([
      Buffer.from('n,t\n1,a\n2\n3,b,c\n007,d\nx,e\n4,'),
      Buffer.from([0xe4]),
      Buffer.from('\n5,f'),
    ])
    expect(told(await split(text, { types }))).toEqual([
      [2, { n: 1, t: 'a' }],
      [3, 'CSV_INVALID'],
      [4, 'CSV_INVALID'],
      [5, 'CSV_INVALID n'],
      [6, 'CSV_INVALID n'],
      [7, 'CSV_INVALID t'],
      [8, { n: 5, t: 'f' }],
    ])
  })

  test.each([
    ['a,b\n1,"x"y\n2,z', 'line 2'],
    ['a,b\n1,2\n1,x"y"\n2,z', 'line 3'],
    ['a,b\n1,2\n1,"x\n2,z\n', 'line 3'],
    [`a,b\n1,"${'x'.repeat(200)}\n2,z\n`, 'line 2'],
    ['a,\n1,2', 'line 1'],
    ['a,a\n1,2', 'line 1'],
  ])('%j cannot be read on, from %s', async (text, where) => {
    await expect(split(text, { maxBytes: 100 })).rejects.toMatchObject({ code: 'CSV_INVALID', where })
  })

  test('a type for a column that is not there is a misuse', async () => {
    const types = new Map([['c', 'number']] as const)
    await expect(split('a,b\n1,2', { types })).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
      where: '--csv-types',
    })
  })

  test('no input and a header alone have no rows', async () => {
    expect([...(await split('')), ...(await split('\n\n')), ...(await split('a,b\n'))]).toEqual([])
  })

  test('a file is taken once, however often it is run and wherever it stopped, and grows', async () => {
    const row = fc.constantFrom('good', 'bad', 'broken')
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (kinds) => {
        const log = forgetfulLog()
        const file = (broken: boolean) =>
          ['n,key', ...kinds.map((kind, n) => rowOf(kind, n, broken)), ''].join('\n')
        const run = (text: string) =>
          ingest(splitCsv(chunks(Buffer.from(text), [7]), { ...plain, types: new Map([['n', 'number']]) }), {
            ...log,
            mapping: { type: 'test.happened', topic: 't', keyField: 'key' },
            onError: 'skip',
            maxLineBytes: 1000,
            batchBounds: { lines: 3, bytes: 1_000_000 },
            onSkipped: () => {},
            onProgress: () => {},
          })
        await run(file(true)).catch((error: unknown) => expect(error).toMatchObject({ code: 'CSV_INVALID' }))
        await run(file(false))
        const good = kinds.flatMap((kind, n) => (kind === 'bad' ? [] : [n]))
        expect(await numbers(log.access)).toEqual(good)
        expect(await run(file(false))).toMatchObject({ added: 0, known: good.length })
      }),
      { numRuns: 40 },
    )
  })
})

function rowOf(kind: 'good' | 'bad' | 'broken', n: number, broken: boolean): string {
  if (kind === 'bad') return `${n},k,more`
  return kind === 'broken' && broken ? `${n},"k"k` : `${n},k${n % 3}`
}
