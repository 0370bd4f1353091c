import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'

const files = ['.gitignore', 'README.md', 'app.test.ts', 'app.ts', 'package.json', 'tsconfig.json']
const own = JSON.parse(await readFile('package.json', 'utf8')) as Record<string, never>

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-init-'))
})

afterEach(() => rm(folder, { recursive: true }))

async function init(...args: readonly string[]) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await run(['init', ...args], {
    stdout,
    stderr,
    stdin: Readable.from([]),
    environment: {},
    runtime: new ManualRuntime(),
  })
  return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

const manifestIn = async (path: string) => JSON.parse(await readFile(join(path, 'package.json'), 'utf8'))

test('init makes the folder, writes the application and says what to do next', async () => {
  const path = join(folder, 'a/poll')
  const { code, stdout, stderr } = await init(path)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`\n  cd ${path}\n  npm install\n  npm test\n  npm run dev\n`)
  expect((await readdir(path)).sort()).toEqual(files)
})

test('a new application pins the version that wrote it, and asks for the same Node.js', async () => {
  await init(folder)
  expect(await manifestIn(folder)).toMatchObject({
    private: true,
    type: 'module',
    engines: own.engines,
    dependencies: { millrace: own.version },
    scripts: { dev: 'millrace dev app.ts', start: 'millrace start app.ts', test: 'node --test' },
  })
})

test('--millrace names another place to install it from', async () => {
  await init(folder, '--millrace', 'file:/a/millrace.tgz')
  expect(await manifestIn(folder)).toMatchObject({ dependencies: { millrace: 'file:/a/millrace.tgz' } })
})

test('with --json the result is one object', async () => {
  const { stdout } = await init(folder, '--json')
  expect(JSON.parse(stdout)).toEqual({
    created: (await manifestIn(folder)).name,
    folder,
    files: expect.arrayContaining(files),
    next: [`cd ${folder}`, 'npm install', 'npm test', 'npm run dev'],
  })
})

test.each([
  ['My Shop!', 'my-shop'],
  ['Café', 'caf'],
  ['投票', 'millrace-app'],
  ['millrace', 'millrace-app'],
])('in the folder %j the application is named %s, which npm takes', async (name, expected) => {
  await init(join(folder, name))
  expect(await manifestIn(join(folder, name))).toMatchObject({ name: expected })
})

test('a folder that is not empty is refused and left as it was', async () => {
  await writeFile(join(folder, 'notes.txt'), 'mine')
  const { code, stdout, stderr } = await init(folder)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^error: FOLDER_UNUSABLE: The folder is not empty: it has notes\.txt\. [^\n]+\n$/)
  expect(await readdir(folder)).toEqual(['notes.txt'])
})

test('a folder that has only a repository of git is empty', async () => {
  await mkdir(join(folder, '.git'))
  expect(await init(folder)).toMatchObject({ code: 0 })
})

test('the path of a file is refused', async () => {
  const file = join(folder, 'file')
  await writeFile(file, '')
  const { code, stderr } = await init(file, '--json')
  expect(code).toBe(1)
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'FOLDER_UNUSABLE', where: file } })
})
