import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** What every program of the tests begins with. */
const beginning = `
import { app, command, event, every, http, on, type RunningApp } from 'millrace'
import { z } from 'zod'

const Placed = event('order.placed', {
  schema: z.object({ orderId: z.string(), quantity: z.number(), address: z.object({ city: z.string() }) }),
})
const Reserved = event('stock.reserved', {
  schema: z.object({ orderId: z.string(), reason: z.string().optional() }),
})
const state = { left: z.number().default(1), note: z.string() }
const reserve = on(Placed, { name: 'reserve', state }, () => {})
const Ship = command('ship', { schema: z.object({ orderId: z.string() }), result: z.object({ parcel: z.string() }) })
declare const running: RunningApp
`

const inHandler = (line: string) =>
  `on(Placed, { name: 'a', state }, async ({ data }, ctx) => {\n  ${line}\n})`
const inRoute = (line: string) =>
  `http.post('/orders/:id', { body: z.object({ sku: z.string() }) }, async (request, ctx) => {\n  ${line}\n  return new Response()\n})`

/**
 * A program that is wrong in one place, what of its line the compiler must mark, and the name that its message must have.
 * Where only a type is wrong, the compiler's message has none: then it must mark the name itself.
 */
const wrong: readonly (readonly [rule: string, program: string, marked: string, named?: string])[] = [
  [
    'emit: a field of the wrong name',
    inHandler(`ctx.emit(Reserved, { orderId: '1', reasn: '' })`),
    'reasn',
    'reasn',
  ],
  ['emit: a field of the wrong type', inHandler(`ctx.emit(Reserved, { orderId: 1 })`), 'orderId'],
  ['emit: a missing field', inHandler(`ctx.emit(Reserved, { reason: '' })`), "{ reason: '' }", 'orderId'],
  [
    'emit: a field within a field',
    inHandler(`ctx.emit(Placed, { orderId: '1', quantity: 1, address: { town: '' } })`),
    'town',
    'town',
  ],
  ['emit: an option', inHandler(`ctx.emit(Reserved, { orderId: '1' }, { dely: 5 })`), 'dely', 'dely'],
  ["the event's data", inHandler(`console.log(data.orderID)`), 'orderID', 'orderID'],
  ['state of the wrong type', inHandler(`ctx.state.left.set('one')`), "'one'", 'number'],
  ['state that is not declared', inHandler(`await ctx.state.lft.get()`), 'lft', 'lft'],
  [
    'state that may be missing',
    inHandler(`const note: string = await ctx.state.note.get()`),
    'note',
    'undefined',
  ],
  ['state that is read for a program', `const { lft } = await running.read(reserve, '1')`, 'lft', 'lft'],
  [
    'state without a schema',
    `on(Placed, { name: 'a', state: { left: Number } }, () => {})`,
    'left',
    'Schema',
  ],
  [
    'a parameter that the path does not have',
    inRoute(`console.log(request.params.code)`),
    'code',
    '/orders/:id',
  ],
  ['a field that the body does not have', inRoute(`console.log(request.body.skew)`), 'skew', 'skew'],
  [
    'publish: a missing field, in a route',
    inRoute(`await ctx.publish(Placed, request.body)`),
    'request.body',
    'orderId',
  ],
  [
    'publish: a field of the wrong name',
    `await running.publish(Reserved, { orderId: '1', cause: '' })`,
    'cause',
    'cause',
  ],
  ['publish: a field of the wrong type', `await running.publish(Reserved, { orderId: 1 })`, 'orderId'],
  [
    'publish: an option',
    `await running.publish(Reserved, { orderId: '1' }, { wait: 'done' })`,
    'wait',
    'handled',
  ],
  ['request: a missing field', `await running.request(Ship, {})`, '{}', 'orderId'],
  ['request: a field of the wrong name', `await running.request(Ship, { orderId: '1', by: '' })`, 'by', 'by'],
  [
    'request: a result of another form',
    `console.log((await running.request(Ship, { orderId: '1' })).packet)`,
    'packet',
    'packet',
  ],
  [
    'a handler that gives another result',
    `on(Ship, { name: 'a' }, () => ({ packet: '1' }))`,
    '() => ({ packet',
    'parcel',
  ],
  [
    'a key of the wrong type',
    `event('a', { schema: z.object({ count: z.number() }), key: (data) => data.count })`,
    'key',
    'number',
  ],
  [
    'a key of a field that is not there',
    `event('a', { schema: z.object({ count: z.number() }), key: (data) => data.size })`,
    'size',
    'size',
  ],
  ['an event type without a schema', `event('a', { key: () => '' })`, "{ key: () => '' }", 'schema'],
  ['an option of a handler', `on(Placed, { name: 'a', retries: 5 }, () => {})`, 'retries', 'retries'],
  ['a handler without a name', `on(Placed, { from: 'start' }, () => {})`, "{ from: 'start' }", 'name'],
  ['where a handler begins', `on(Placed, { name: 'a', from: 'begin' }, () => {})`, 'from', 'From'],
  ["a schedule's event", `every('* * * * *', { name: 'a' }, (tick) => tick.data.due)`, 'due', 'due'],
  ['an option of the application', `app({ name: 'a', handler: [reserve] })`, 'handler', 'handler'],
]

/** One message of the compiler. */
interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}

let folder: string
let diagnostics: readonly Diagnostic[]

const sourceOf = (program: string) => `${beginning}\n${program}\n`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-messages-'))
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  symlinkSync(resolve('.'), join(folder, 'node_modules/millrace'))
  for (const name of ['zod', '@types/node']) {
    symlinkSync(resolve('node_modules', name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [index, [, program]] of wrong.entries()) {
    writeFileSync(join(folder, `wrong-${index}.ts`), sourceOf(program))
  }
  diagnostics = await compile(wrong.map((_, index) => `wrong-${index}.ts`))
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

/** Compiles files with the TypeScript that is installed; gives what it says about them. */
async function compile(files: readonly string[]): Promise<readonly Diagnostic[]> {
  const options =
    '--noEmit --strict --pretty false --skipLibCheck --target es2024 --module nodenext --types node'
  const conditions = ['--customConditions', 'millrace-source', '--allowImportingTsExtensions']
  const tsc = resolve('node_modules/typescript/bin/tsc')
  const ran = promisify(execFile)(process.execPath, [tsc, ...options.split(' '), ...conditions, ...files], {
    cwd: folder,
  })
  const { stdout } = await ran.catch((error: { readonly stdout: string }) => error)
  const pattern = /^(wrong-\d+\.ts)\((\d+),(\d+)\): error TS\d+: ((?:.*\n)(?: .*\n)*)/gm
  return [...stdout.matchAll(pattern)].map(([, file = '', line, column, message = '']) => ({
    file,
    line: Number(line),
    column: Number(column),
    message,
  }))
}

test.each(wrong.map(([rule, ...rest], index) => [rule, index, ...rest] as const))(
  'the compiler refuses what is wrong, in its place and by its name: %s',
  (_rule, index, program, marked, named) => {
    const found = diagnostics.filter(({ file }) => file === `wrong-${index}.ts`)
    expect(found).toHaveLength(1)
    const [{ line, column, message } = { line: 0, column: 0, message: '' }] = found
    const text = sourceOf(program).split('\n')[line - 1] ?? ''
    expect(text.slice(column - 1, column - 1 + marked.length), message).toBe(marked)
    if (named !== undefined) expect(message).toContain(named)
  },
)

test('the message about a field says which were meant', () => {
  const index = wrong.findIndex(([rule]) => rule === 'emit: a field of the wrong name')
  const found = diagnostics.find(({ file }) => file === `wrong-${index}.ts`)
  expect(found?.message).toContain("Did you mean to write 'reason'?")
})
