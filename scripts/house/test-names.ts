import { posix } from 'node:path'
import { type Finding, findingAt, type SourceFile } from './source.ts'

const rule = 'test-names'
const testName = /\.(test|int\.test|sim\.test|test-d)\.ts$/
const looksLikeTest = /\.(test|spec)(-d)?\.[cm]?[jt]sx?$/
/** Folders under `test/` that mirror a folder beside `src`, try the package, or hold what compiles and what does not. */
const otherFolders = new Set(['bench', 'console', 'docs', 'examples', 'package', 'scripts', 'types'])

/** Tests live in `test/`, are named so that they run, and mirror `src`. */
export function checkTestNames(files: readonly SourceFile[]): Finding[] {
  const sourceFolders = new Set(files.flatMap((file) => foldersOf(file.path)))
  return files.flatMap((file) => {
    const message = problemOf(file, sourceFolders)
    return message === undefined ? [] : [findingAt(file, 0, rule, message)]
  })
}

function problemOf(file: SourceFile, sourceFolders: ReadonlySet<string>): string | undefined {
  const named = testName.test(file.path)
  // A new application's test is in the template beside the application, where it will be.
  if (file.path.startsWith('template/')) return undefined
  if (!file.path.startsWith('test/')) {
    return looksLikeTest.test(file.path) ? 'a test belongs in test/' : undefined
  }
  const declaresTests = file.references.some(
    ({ specifier, names }) =>
      specifier === 'vitest' && names.some((name) => name === 'test' || name === 'it'),
  )
  if (!named && (declaresTests || looksLikeTest.test(file.path))) {
    return 'a test is named *.test.ts, *.int.test.ts or *.sim.test.ts, else it never runs'
  }
  if (!named) return undefined
  const mirrored = posix.dirname(file.path).slice('test/'.length)
  const known =
    otherFolders.has(mirrored.split('/')[0] ?? '') || sourceFolders.has(posix.join('src', mirrored))
  return known ? undefined : `test/ mirrors src/, and there is no folder src/${mirrored}`
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}
