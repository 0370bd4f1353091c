import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { checkHouse } from '../../scripts/house/check.ts'

const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** What the check says about a tree of files, as `file:line rule`. */
function check(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'millrace-house-'))
  folders.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return checkHouse(root).findings.map(({ file, line, rule }) => `${file}:${line} ${rule}`)
}

const documented = '/** Says what it promises. */\nexport const value = 1\n'
const lines = (count: number) => Array.from({ length: count }, () => 'value()').join('\n')

describe('floors', () => {
  test.each([
    ['a floor imports one above it', 'src/log/a.ts', "import '../bus/b.ts'", 'src/bus/b.ts'],
    [
      'a type import goes up as well',
      'src/core/a.ts',
      "import type { A } from '../log/b.ts'",
      'src/log/b.ts',
    ],
    ['an import type goes up as well', 'src/core/a.ts', "type A = import('../log/b.ts').A", 'src/log/b.ts'],
    ['folders of one floor import each other', 'src/routing/a.ts', "import '../log/b.ts'", 'src/log/b.ts'],
    [
      'one engine imports another',
      'src/engines/lmdb/a.ts',
      "import '../memory/b.ts'",
      'src/engines/memory/b.ts',
    ],
    [
      'the bus imports an engine',
      'src/bus/a.ts',
      "import '../engines/memory/b.ts'",
      'src/engines/memory/b.ts',
    ],
    [
      'the gateway imports an engine',
      'src/gateway/a.ts',
      "import '../engines/memory/b.ts'",
      'src/engines/memory/b.ts',
    ],
    [
      'an engine with a client is imported statically',
      'src/app/a.ts',
      "import '../engines/lmdb/b.ts'",
      'src/engines/lmdb/b.ts',
    ],
    [
      'the testing tools import the gateway',
      'src/testing/a.ts',
      "import '../gateway/b.ts'",
      'src/gateway/b.ts',
    ],
    ['src imports a script', 'src/core/a.ts', "import '../../scripts/b.ts'", 'scripts/b.ts'],
    ['an example imports from src', 'examples/shop/a.ts', "import '../../src/core/b.ts'", 'src/core/b.ts'],
    ['a benchmark imports from src', 'bench/a.ts', "export * from '../src/core/b.ts'", 'src/core/b.ts'],
  ])('refuse that %s', (_rule, file, text, target) => {
    expect(check({ [file]: text, [target]: documented })).toEqual([`${file}:1 floors`])
  })

  test.each([
    ['a client is imported outside its engine', 'src/app/a.ts', "const client = await import('lmdb')"],
    ['an engine imports the client of another', 'src/engines/lmdb/a.ts', "import 'postgres'"],
    [
      'a client comes in as a type',
      'src/bus/a.ts',
      "import type { NatsConnection } from '@nats-io/transport-node'",
    ],
    ['a module is loaded by a name that is computed', 'src/app/a.ts', 'await import(name)'],
    ['src imports the package by its own name', 'src/app/a.ts', "import 'millrace'"],
    ['a folder is on no floor', 'src/utils/a.ts', ''],
    ['an engine has no folder of its own', 'src/engines/a.ts', ''],
  ])('refuse that %s', (_rule, file, text) => {
    expect(check({ [file]: text })).toEqual([`${file}:1 floors`])
  })

  test('let every folder import what is below it, and engines their clients', () => {
    const found = check({
      'src/core/core.ts': documented,
      'src/log/log.ts': "import '../core/core.ts'",
      'src/engines/lmdb/lmdb.ts': "import 'lmdb'\nimport '../../log/log.ts'",
      'src/engines/memory/memory.ts': "import '../../log/log.ts'",
      'src/bus/bus.ts': "import '../log/log.ts'",
      'src/app/app.ts': "import '../engines/memory/memory.ts'\nawait import('../engines/lmdb/lmdb.ts')",
      'src/cli/cli.ts': "import '../app/app.ts'\nawait import(file)",
      'test/engines/lmdb/lmdb.test.ts': "import 'lmdb'\nimport '../../../src/engines/lmdb/lmdb.ts'",
      'examples/shop/app.ts': "import 'millrace'\nimport './handlers.ts'",
      'examples/shop/handlers.ts': '',
    })
    expect(found).toEqual([])
  })
})

describe('circles', () => {
  test('refuse that a file reaches itself, type imports included', () => {
    const found = check({
      'src/core/a.ts': "import './b.ts'",
      'src/core/b.ts': "\nimport type { C } from './c.ts'",
      'src/core/c.ts': "export * from './a.ts'",
    })
    expect(found).toEqual(['src/core/c.ts:1 circles'])
  })

  test('let two files import a third', () => {
    const found = check({
      'src/core/a.ts': "import './b.ts'\nimport './c.ts'",
      'src/core/b.ts': "import './c.ts'",
      'src/core/c.ts': documented,
    })
    expect(found).toEqual([])
  })
})

describe('sizes', () => {
  test('refuse a function of 71 lines, in any form, and let one of 70 be', () => {
    const found = check({
      'scripts/short.ts': `function short() {\n${lines(68)}\n}\n`,
      'scripts/long.ts': `function long() {\n${lines(69)}\n}\n`,
      'scripts/arrow.ts': `\nconst long = () => {\n${lines(69)}\n}\n`,
      'scripts/method.ts': `class Long {\n  method() {\n${lines(69)}\n}\n}\n`,
    })
    expect(found).toEqual([
      'scripts/arrow.ts:2 sizes',
      'scripts/long.ts:1 sizes',
      'scripts/method.ts:2 sizes',
    ])
  })

  test('take the callback of describe for a chapter, but not that of a test', () => {
    const found = check({
      'test/scripts/a.test.ts': `describe('a', () => {\n${lines(80)}\n})\n`,
      'test/scripts/b.test.ts': `describe.each([1])('b', () => {\n${lines(80)}\n})\n`,
      'test/scripts/c.test.ts': `test('c', () => {\n${lines(80)}\n})\n`,
    })
    expect(found).toEqual(['test/scripts/c.test.ts:1 sizes'])
  })

  test('refuse a file of 501 lines, and let one of 500 be', () => {
    const found = check({ 'scripts/a.ts': `${lines(500)}\n`, 'scripts/b.ts': `${lines(501)}\n` })
    expect(found).toEqual(['scripts/b.ts:1 sizes'])
  })

  test('leave generated files alone', () => {
    expect(check({ 'src/core/a.generated.ts': lines(600) })).toEqual([])
  })
})

describe('determinism', () => {
  test.each([
    'Date.now()',
    'new Date()',
    'performance.now()',
    'Math.random()',
    'crypto.randomUUID()',
    "import { randomBytes } from 'node:crypto'",
    'crypto.getRandomValues(bytes)',
    'setTimeout(run, 1)',
    'globalThis.setTimeout(run, 1)',
    'const later = setInterval',
    'setImmediate(run)',
    'process.nextTick(run)',
    "import { nextTick } from 'node:process'",
    'process.hrtime.bigint()',
    'AbortSignal.timeout(1)',
    'new WeakRef(value)',
    'let kept: WeakRef<object>',
    "import { setTimeout as sleep } from 'node:timers/promises'",
    "import { performance as clock } from 'node:perf_hooks'",
  ])('refuses %s in src, in tests and in examples', (text) => {
    const places = ['examples/shop/a.ts', 'src/cli/a.ts', 'src/engines/lmdb/a.ts', 'test/scripts/a.test.ts']
    const found = check(Object.fromEntries(places.map((place) => [place, text])))
    expect(found).toEqual(places.map((place) => `${place}:1 determinism`))
  })

  test.each([
    'new Date(timeMs)',
    'Date.parse(text)',
    'runtime.random()',
    'clock.setTimeout(run)',
    'const timers = { setTimeout: 1 }',
    'clearTimeout(timer)',
  ])('lets %s be', (text) => {
    expect(check({ 'src/core/a.ts': text })).toEqual([])
  })

  test('exempts the real runtime, the turn of the virtual clock, benchmarks and scripts', () => {
    const found = check({
      'src/core/real-runtime.ts': 'Date.now()',
      'test/core/real-runtime.test.ts': 'Date.now()',
      'src/testing/turn.ts': 'setImmediate(run)',
      'bench/a.ts': 'performance.now()',
      'scripts/a.ts': 'performance.now()',
    })
    expect(found).toEqual([])
    expect(check({ 'src/testing/turn.ts': 'Date.now()' })).toEqual(['src/testing/turn.ts:1 determinism'])
  })

  test.each(['node:fs', 'node:fs/promises', 'node:net', 'node:zlib', 'node:worker_threads', 'fs'])(
    'refuses %s below the application, except in engines',
    (name) => {
      const files = ['src/app/a.ts', 'src/bus/a.ts', 'src/core/a.ts', 'src/engines/lmdb/a.ts', 'src/log/a.ts']
      const found = check(Object.fromEntries(files.map((file) => [file, `import '${name}'`])))
      expect(found).toEqual([
        'src/bus/a.ts:1 determinism',
        'src/core/a.ts:1 determinism',
        'src/log/a.ts:1 determinism',
      ])
    },
  )
})

describe('docstrings', () => {
  test.each([
    'export const value = 1',
    'export function run() {}',
    'export class Log {}',
    'export interface Place {}',
    'export type Offset = number',
    'export default function () {}',
    'const value = 1\nexport { value }',
    '// No docstring.\nexport const value = 1',
    '/** Of another. */\nconst other = 1\nexport const value = other',
  ])('are missed at %j', (text) => {
    expect(check({ 'src/core/a.ts': text })).toEqual([
      expect.stringMatching(/^src\/core\/a\.ts:\d docstrings$/),
    ])
  })

  test('count for every overload, and are not asked of what is exported again or from elsewhere', () => {
    const overloads =
      '/** Runs. */\nexport function run(a: string): void\nexport function run(a: unknown): void {}\n'
    const found = check({
      'src/core/a.ts': overloads,
      'src/core/b.ts': "export { run } from './a.ts'\nexport * from './c.ts'",
      'src/core/c.ts': '/** One. */\nconst one = 1\nexport { one }\n',
      'scripts/d.ts': 'export const d = 1',
    })
    expect(found).toEqual([])
  })
})

describe('words', () => {
  test.each([
    'let value: any',
    'value!.run()',
    'class Log {\n  value!: string\n}',
    '// TO' + 'DO: later',
    '/* FIX' + 'ME */',
    '// @ts-ignore',
    '// @ts-expect-error',
  ])('refuse %j', (text) => {
    expect(check({ 'src/core/a.ts': text })).toEqual([expect.stringMatching(/^src\/core\/a\.ts:\d words$/)])
  })

  test('let a test expect a compile error, and code mention any thing', () => {
    const found = check({
      'test/types/a.test-d.ts': '// @ts-expect-error\nvalue()',
      'src/core/a.ts': "// Says any word.\nif (!any) run('any')",
    })
    expect(found).toEqual([])
  })
})

describe('test names', () => {
  const core = { 'src/core/a.ts': documented }

  test.each([
    ['lives in src', 'src/core/a.test.ts', ''],
    ['is named as no run finds it', 'test/core/a.spec.ts', ''],
    ['is named like a helper', 'test/core/helper.ts', "import { test } from 'vitest'"],
    ['mirrors no folder', 'test/nowhere/a.test.ts', ''],
  ])('refuse that a test %s', (_rule, file, text) => {
    expect(check({ ...core, [file]: text })).toEqual([`${file}:1 test-names`])
  })

  test('let the three kinds of tests and their helpers be', () => {
    const found = check({
      ...core,
      'test/core/a.test.ts': '',
      'test/core/a.int.test.ts': '',
      'test/core/a.sim.test.ts': '',
      'test/core/helper.ts': "import { expect } from 'vitest'",
    })
    expect(found).toEqual([])
  })
})
