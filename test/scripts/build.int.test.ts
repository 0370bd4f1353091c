import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The package as it is installed: the built files beside their manifest, without the sources. */
let folder: string

const node = (...args: readonly string[]) =>
  execFileSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-build-'))
  execFileSync(process.execPath, ['scripts/build.ts', join(folder, 'dist')], { stdio: 'inherit' })
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  symlinkSync(resolve('package.json'), join(folder, 'package.json'))
})

afterAll(() => rmSync(folder, { recursive: true }))

test('the built package can be imported, by its entry points', () => {
  writeFileSync(
    join(folder, 'use.mjs'),
    `import { app, event, start } from './dist/index.js'
     import * as testing from './dist/testing/index.js'
     import * as gateway from './dist/gateway/index.js'
     console.log(typeof app, typeof event, typeof start, typeof testing, typeof gateway)`,
  )
  expect(node('use.mjs')).toBe('function function function object object\n')
})

test('the built command runs', () => {
  expect(statSync(join(folder, 'dist/cli/main.js')).mode & 0o111).not.toBe(0)
  expect(node('dist/cli/main.js', '--help')).toContain('millrace')
})
