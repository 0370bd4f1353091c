import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Workplace } from '../process.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const log = ['--log', 'lmdb:log', '--topic', 't', '--create-topic', '--type', 'test.happened']

test('a .csv file, its gzip and standard input are the same rows, and are taken once', async () => {
  const airports = fileURLToPath(new URL('../data/airports.csv', import.meta.resolve('vega-datasets')))
  const text = await readFile(airports)
  await writeFile(place.path('airports.csv.gz'), gzipSync(text))
  const types = ['--csv-types', 'latitude:number,longitude:number', '--key-field', 'iata', '--json', ...log]
  const first = await place.run(['ingest', airports, ...types])
  expect(JSON.parse(first.stdout)).toMatchObject({ lines: 3376, added: 3376, skipped: 0 })
  const gzip = await place.run(['ingest', 'airports.csv.gz', ...types])
  expect(JSON.parse(gzip.stdout)).toMatchObject({ added: 0, known: 3376 })
  const piped = await place.run(['ingest', '-', '--format', 'csv', ...types], { input: text })
  expect(JSON.parse(piped.stdout)).toMatchObject({ added: 0, known: 3376 })
  const tailed = await place.run(['tail', '--log', 'lmdb:log', '--from', 'start', '--limit', '1', '--json'])
  expect(JSON.parse(tailed.stdout)).toMatchObject({
    event: {
      partitionkey: expect.any(String),
      data: { iata: expect.any(String), latitude: expect.any(Number) },
    },
  })
})

test('a row that is refused is named by its line; with skip the others are taken', async () => {
  await writeFile(place.path('orders.csv'), 'n,note\n1,"two\nlines"\nx,bad\n3\n4,good\n')
  const args = ['ingest', 'orders.csv', '--csv-types', 'n:number', '--json', ...log]
  const stopped = await place.run(args)
  expect(stopped.code).toBe(1)
  expect(JSON.parse(stopped.stderr)).toMatchObject({
    error: {
      code: 'CSV_INVALID',
      where: expect.stringMatching(/orders\.csv,? line 4, n$/),
      facts: { line: 4 },
    },
  })
  const skipped = await place.run([...args, '--on-error', 'skip'])
  expect(JSON.parse(skipped.stdout)).toMatchObject({ added: 1, known: 1, skipped: 2 })
})

test('a fault of the file as a whole is told with the name of the file', async () => {
  await writeFile(place.path('orders.csv'), 'n,n\n1,2\n')
  const header = await place.run(['ingest', 'orders.csv', '--json', ...log])
  expect(JSON.parse(header.stderr)).toMatchObject({
    error: { code: 'CSV_INVALID', where: expect.stringMatching(/orders\.csv, line 1$/) },
  })
  await writeFile(place.path('orders.json'), '[{"n":1}')
  const array = await place.run(['ingest', 'orders.json', '--json', ...log])
  expect(JSON.parse(array.stderr)).toMatchObject({
    error: { code: 'JSON_INVALID', where: expect.stringMatching(/orders\.json, element 1$/) },
  })
})

test.each([
  [['--csv-types', 'n:date'], '--csv-types'],
  [['--csv-delimiter', ';;'], '--csv-delimiter'],
  [['--csv-types', 'm:number'], '--csv-types'],
])('%j is a misuse', async (options, where) => {
  await writeFile(place.path('orders.csv'), 'n\n1\n')
  const { code, stderr } = await place.run(['ingest', 'orders.csv', ...options, '--json', ...log])
  expect(code).toBe(2)
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'COMMAND_INVALID', where } })
})
