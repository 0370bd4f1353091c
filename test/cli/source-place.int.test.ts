import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { placeInStack, sourceFrame } from '../../src/cli/source-place.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-place-'))
  await writeFile(join(folder, 'other.mts'), 'export const a = 1\n')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The frame of what importing a file throws, in a process of its own: what the stack looks like is up to Node.js. */
async function frameOf(text: string): Promise<readonly string[]> {
  await writeFile(join(folder, 'app.mts'), text)
  const module = new URL('../../src/cli/source-place.ts', import.meta.url)
  const program = `import { sourceFrame, sourcePlace } from ${JSON.stringify(fileURLToPath(module))}
try { await import('./app.mts') } catch (error) {
  const place = sourcePlace(error)
  console.log(JSON.stringify(place === undefined ? [] : sourceFrame(place)))
}`
  await writeFile(join(folder, 'try.mts'), program)
  const { stdout } = await promisify(execFile)(process.execPath, ['try.mts'], { cwd: folder })
  return JSON.parse(stdout) as readonly string[]
}

test.each([
  [
    'is thrown',
    "const a = 1\n  throw new Error('x')\n",
    ['app.mts:2:9', "  throw new Error('x')", '        ^'],
  ],
  ['is no syntax', 'const a = 1\nconst = 2\n', ['app.mts:2:7', '  const = 2', '        ^']],
  ['is behind a tab', '\tconst = 2\n', ['app.mts:1:8', '  const = 2', '        ^']],
  [
    'is missing at the end',
    'const a = 1\nconst b: number = (1',
    ['app.mts:2:21', '  const b: number = (1', `  ${' '.repeat(20)}^`],
  ],
  ['cannot be stripped', 'enum A {}\n', ['app.mts:1:1', '  enum A {}', '  ^']],
  [
    'is not exported',
    "import { b } from './other.mts'\n",
    ['app.mts:1:10', "  import { b } from './other.mts'", `  ${' '.repeat(9)}^`],
  ],
  [
    'is no file',
    "\nimport './nowhere.mts'\n",
    ['app.mts:2:11', "  import './nowhere.mts'", `  ${' '.repeat(10)}^`],
  ],
])('the place of what %s is found, with its line and a caret', async (_what, text, frame) => {
  expect(await frameOf(text)).toEqual(frame)
})

test('a place in a file that is not there, in a library or in Millrace is passed over', () => {
  const own = new URL('../../src/cli/source-place.ts', import.meta.url).href
  const here = import.meta.url
  const stack = [
    'Error: x',
    `file:///gone.ts:1:1`,
    `${own}:1:1`,
    `file:///a/node_modules/b.js:1:1`,
    `${here}:1:10`,
  ]
  expect(placeInStack(stack.join('\n    at '))).toMatchObject({
    path: 'test/cli/source-place.int.test.ts',
    line: 1,
    column: 10,
  })
})

test('of a line without a column only the line is shown', () => {
  expect(sourceFrame({ path: 'a.ts', line: 3, text: '  a()' })).toEqual(['a.ts:3', '  a()'])
})
