import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Packed, registryAnswers } from './packed.ts'
import { get, post, StartedCommand } from './started.ts'

const own = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly version: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const [, example = ''] = /```ts\n(.*?)```/s.exec(readFileSync('README.md', 'utf8')) ?? []

/** The TypeScript that Millrace is built with, and the major before it, by the names they are installed under. */
const compilers = {
  typescript: `typescript@${own.devDependencies.typescript}`,
  'typescript-previous': 'typescript-previous@npm:typescript@6.0.3',
}

/** Imports the package and writes which modules that loaded, what it started and how long it took. */
const importing = `
  import { registerHooks } from 'node:module'
  const modules = []
  registerHooks({ load: (url, context, next) => (modules.push(url), next(url, context)) })
  const before = process.getActiveResourcesInfo()
  const began = performance.now()
  await import('millrace')
  const importMs = performance.now() - began
  const started = process.getActiveResourcesInfo()
  for (const each of before) started.splice(started.indexOf(each), 1)
  process.stdout.write(JSON.stringify({ modules, started, importMs }))
`

const unwanted = [
  /\/millrace\/dist\/(engines|gateway|cli|testing)\//,
  /\/node_modules\/(@?lmdb|fastify|pino|commander|saxes|csv-parse|eventsource-parser)\//,
  /^node:(https?|net|fs|worker_threads|child_process)/,
]

/** The bytes of all files in a folder, leaving out some of what is directly in it. */
function sizeOf(folder: string, leftOut: readonly string[] = []): number {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const counted = paths.filter((path) => !leftOut.includes(path.split(sep)[0] ?? ''))
  return counted.reduce((sum, path) => sum + sizeOfFile(join(folder, path)), 0)
}

function sizeOfFile(path: string): number {
  const found = lstatSync(path)
  return found.isFile() ? found.size : 0
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

describe.skipIf(!registryAnswers)('the tarball, installed into an empty folder', () => {
  let packed: Packed

  beforeAll(async () => {
    packed = await Packed.make()
    const { zod, '@types/node': nodeTypes } = own.devDependencies
    const beside = [`zod@${zod}`, `@types/node@${nodeTypes}`, ...Object.values(compilers)]
    await packed.install('app', packed.tarball, ...beside)
    writeFileSync(packed.path('app/app.ts'), example)
  })

  afterAll(() => packed?.[Symbol.dispose]())

  const installed = (...parts: readonly string[]) => packed.path('app/node_modules/millrace', ...parts)

  test('has the built files, the pages and the template, and nothing else', () => {
    const meant = /^(dist\/.+\.(js|d\.ts)|docs\/.+\.md|template\/[\w.]+|README\.md|LICENSE|package\.json)$/
    expect(packed.files.filter((path) => !meant.test(path))).toEqual([])
    expect(packed.files).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts', 'template/app.ts']),
    )
  })

  test('is free of side effects, by its manifest, and what the manifest exports is there', () => {
    const manifest = JSON.parse(readFileSync(installed('package.json'), 'utf8'))
    expect(manifest).toMatchObject({ version: own.version, sideEffects: false })
    for (const entry of Object.values<string | Record<string, string>>(manifest.exports)) {
      const targets = typeof entry === 'string' ? [entry] : [entry.types, entry.default]
      for (const target of targets) expect(existsSync(installed(target ?? '')), target).toBe(true)
    }
  })

  test('refers to no source map', () => {
    const scripts = packed.files.filter((path) => path.startsWith('dist/'))
    const mapped = scripts.filter((path) =>
      readFileSync(installed(path), 'utf8').includes('sourceMappingURL='),
    )
    expect(mapped).toEqual([])
  })

  test.each(Object.keys(compilers))(
    "the README's first example compiles with %s, libraries checked too",
    async (compiler) => {
      const tsc = `node_modules/${compiler}/bin/tsc`
      const options = [
        '--strict',
        '--noEmit',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--types',
        'node',
      ]
      expect(await packed.run('app', process.execPath, tsc, ...options, 'app.ts')).toBe('')
    },
    120_000,
  )

  test("the README's first example runs on the default log, which outlives the process", async () => {
    {
      await using shop = new StartedCommand(packed.path('app'))
      const url = await shop.url()
      expect(await post(`${url}/orders`, { sku: 'lamp', quantity: 3 })).toBe(202)
      await expect.poll(() => get(`${url}/stock/lamp`), { timeout: 60_000 }).toEqual({ left: 97 })
      expect(await shop.stop()).toBe(0)
    }
    const command = 'node_modules/.bin/millrace'
    const tail = await packed.run('app', command, 'tail', '--log', 'lmdb:.millrace', '--json')
    expect(tail).toContain('"shop.order.placed"')
  })

  test('importing it loads no engine, no server, no command and no test tool, and starts nothing', async () => {
    writeFileSync(packed.path('app/import.mjs'), importing)
    const { modules, started, importMs } = JSON.parse(
      await packed.run('app', process.execPath, 'import.mjs'),
    ) as { readonly modules: string[]; readonly started: string[]; readonly importMs: number }
    expect(modules).toContainEqual(expect.stringMatching(/\/millrace\/dist\/index\.js$/))
    expect(modules.filter((url) => unwanted.some((pattern) => pattern.test(url)))).toEqual([])
    expect(started).toEqual([])
    console.info(`importing millrace: ${modules.length} modules, ${Math.round(importMs)} ms`)
  })

  test('reads XML with what it brings, by a path of its own', async () => {
    const program =
      "import { parseXml } from 'millrace/xml'; console.log(JSON.stringify(parseXml('<a><b>1</b></a>')))"
    const { execPath } = process
    expect(await packed.run('app', execPath, '--input-type=module', '-e', program)).toBe('{"a":{"b":"1"}}\n')
  })

  test('is installed without a script of its own, which npm would warn of', () => {
    const manifest = JSON.parse(readFileSync(installed('package.json'), 'utf8')) as {
      readonly scripts: object
    }
    const run = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare']
    expect(run.filter((script) => script in manifest.scripts)).toEqual([])
    expect(packed.installedWith).not.toContain('millrace@')
  })

  test('brings none of the tools that it is made with', () => {
    const modules = packed.path('app/node_modules')
    const beside = ['zod', 'typescript', '@typescript', 'typescript-previous', '@types', '.bin']
    const tools = Object.keys(own.devDependencies).filter(
      (name) => !beside.includes(name.split('/')[0] ?? ''),
    )
    expect(tools).toContain('vitest')
    expect(tools.filter((name) => existsSync(join(modules, name)))).toEqual([])
    const [itself, all] = [sizeOf(installed()), sizeOf(modules, beside)]
    console.info(`installed: ${megabytes(itself)} of its own, ${megabytes(all)} with what it depends on`)
    expect(itself).toBeLessThan(4e6)
    expect(all).toBeLessThan(60e6)
  })

  describe('and an application that its command has written', () => {
    beforeAll(async () => {
      const from = `file:${packed.tarball}`
      await packed.run('app', 'node_modules/.bin/millrace', 'init', '../poll', '--millrace', from)
      await packed.install('poll')
    })

    test('passes its own tests, on the test runner of Node.js', async () => {
      expect(await packed.run('poll', 'npm', 'test')).toMatch(/pass 2\n.*fail 0\n/s)
    })

    test('passes its own check of types', async () => {
      await packed.run('poll', 'npm', 'run', 'check')
    })

    test('runs', async () => {
      await using poll = new StartedCommand(packed.path('poll'))
      const url = await poll.url()
      expect(await post(`${url}/votes`, { choice: 'tea' })).toBe(202)
      await expect.poll(() => get(`${url}/votes/tea`), { timeout: 60_000 }).toEqual({ votes: 1 })
      expect(await poll.stop()).toBe(0)
    })
  })
})
