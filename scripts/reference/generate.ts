import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { errorCodes } from '../../src/core/errors.ts'
import { isNode, parse } from '../house/source.ts'
import { docstringBefore, listOf } from './declarations.ts'
import { type Entry, type Page, referencePages } from './pages.ts'

/** Where the pages are kept. */
export const referenceFolder = 'docs/reference'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

/** The pages of the reference, from the sources as they are: the compiler writes the declarations, docstrings in them. */
export function generateReference(): readonly Page[] {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-declarations-'))
  try {
    const tsc = 'node_modules/typescript/bin/tsc'
    const options = [
      '--project',
      'tsconfig.build.json',
      '--emitDeclarationOnly',
      '--noCheck',
      '--outDir',
      folder,
    ]
    execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' })
    return referencePages(entriesOf(folder), new Set(Object.keys(errorCodes)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function entriesOf(folder: string): readonly Entry[] {
  const { name, exports } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
  return Object.entries(exports).flatMap(([path, targets]) => {
    if (typeof targets === 'string') return []
    const { types = '', 'millrace-source': source = '' } = targets
    const specifier = join(name, path)
    return [
      { specifier, declarations: resolve(folder, types.replace('./dist/', '')), about: aboutOf(source) },
    ]
  })
}

/** The docstring at the head of a module, where that is none of its first declaration. */
function aboutOf(path: string): string {
  const file = parse(path, readFileSync(path, 'utf8'))
  const [first] = listOf(file.program.body)
  return first === undefined || isNode(first.declaration) ? '' : docstringBefore(file, first.start)
}
