import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, type SourceFile } from '../../scripts/house/source.ts'
import { checkWords } from '../../scripts/house/words.ts'

const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>
}
const entries = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.types]))

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-declarations-'))
  execFileSync(process.execPath, ['scripts/build.ts', join(folder, 'dist')], { stdio: 'inherit' })
})

afterAll(() => rmSync(folder, { recursive: true }))

/** The declarations that the package's exports lead to, by whatever way types are mentioned. */
function reachable(): SourceFile[] {
  const found = new Map<string, SourceFile>()
  const follow = (path: string): void => {
    if (found.has(path)) return
    const file = parse(path, readFileSync(path, 'utf8'))
    found.set(path, file)
    for (const { specifier = '' } of file.references) {
      if (specifier.startsWith('.')) follow(join(dirname(path), specifier).replace(/\.[jt]s$/, '.d.ts'))
    }
  }
  for (const entry of entries) follow(join(folder, entry))
  return [...found.values()]
}

test('no declaration that the package exports, or leads to, says any', () => {
  const declarations = reachable()
  expect(entries.every((entry) => existsSync(join(folder, entry)))).toBe(true)
  expect(declarations.length).toBeGreaterThan(20)
  expect(checkWords(declarations)).toEqual([])
})
