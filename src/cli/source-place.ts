import { existsSync, readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A line of somebody's source. */
export interface SourcePlace {
  /** The path of the file, from the folder of the process. */
  readonly path: string
  /** From 1. */
  readonly line: number
  /** From 1; absent where only the line is known. */
  readonly column?: number
  /** The line as it stands. */
  readonly text: string
}

/** The head of a syntax error's stack, with the line it shows and the caret below that. */
const headPattern =
  /^(?<head>(?:file:\/\/)?(?:\/|[A-Za-z]:\\).*?):(?<line>\d+)\n(?:(?:.*\n)*?(?<shown>.*)\n(?<caret>[ \t]*)\^)?/
const framePattern = /(?<url>file:\/\/[^\s()]+?):(?<line>\d+)(?::(?<column>\d+))?/g
const missingPattern = /^Cannot find (?:module|package) '(?<missing>[^']+)' imported from (?<importer>.+)$/m

/** The first place of an error's stack that is neither Node's nor a library's nor ours; undefined where there is none. */
export function sourcePlace(error: unknown): SourcePlace | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return placeInStack(stack) ?? importerPlace(error)
}

/** The same for a stack as it is printed. */
export function placeInStack(stack: string): SourcePlace | undefined {
  return headPlace(stack) ?? framePlace(stack)
}

function headPlace(stack: string): SourcePlace | undefined {
  const { head, line, shown, caret } = headPattern.exec(stack)?.groups ?? {}
  const path = pathOf(head ?? '')
  const text = isOfUser(path) ? lineOf(path, Number(line)) : undefined
  if (text === undefined) return undefined
  // What is shown may have other white space before it than the file; without a caret it is the end that is missing.
  const column =
    caret === undefined ? text.length + 1 : caret.length - indentOf(shown ?? '') + indentOf(text) + 1
  return { path: relative('', path), line: Number(line), column, text }
}

function framePlace(stack: string): SourcePlace | undefined {
  for (const { groups = {} } of stack.matchAll(framePattern)) {
    const path = pathOf(groups.url ?? '')
    const text = isOfUser(path) ? lineOf(path, Number(groups.line)) : undefined
    if (text === undefined) continue
    const column = groups.column === undefined ? {} : { column: Number(groups.column) }
    return { path: relative('', path), line: Number(groups.line), ...column, text }
  }
  return undefined
}

/** Whether a file is neither of a library nor of Millrace itself. */
export function isOfUser(path: string): boolean {
  const own = fileURLToPath(new URL('../', import.meta.url))
  return !path.includes('/node_modules/') && !path.startsWith(own) && existsSync(path)
}

/** Of a module that is not there, the line that imports it. */
function importerPlace(error: unknown): SourcePlace | undefined {
  const found = missingPattern.exec(error instanceof Error ? error.message : '')
  const { missing = '', importer = '' } = found?.groups ?? {}
  if (found === null || !isOfUser(importer)) return undefined
  const name = basename(missing)
  const lines = readFileSync(importer, 'utf8').split('\n')
  const index = lines.findIndex((line) => line.includes(name) && /import|from|require/.test(line))
  const text = lines[index]?.trimEnd()
  return text === undefined
    ? undefined
    : { path: relative('', importer), line: index + 1, column: text.indexOf(name) + 1, text }
}

function pathOf(head: string): string {
  return head.startsWith('file:') ? fileURLToPath(head) : head
}

/** A line that has something on it. */
function lineOf(path: string, line: number): string | undefined {
  return readFileSync(path, 'utf8').split('\n')[line - 1]?.trimEnd() || undefined
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length
}

/** A place for people: where it is, the line, and a caret below its column. */
export function sourceFrame({ path, line, column, text }: SourcePlace): readonly string[] {
  const where = column === undefined ? `${path}:${line}` : `${path}:${line}:${column}`
  const indent = indentOf(text)
  const frame = [where, `  ${text.slice(indent).replaceAll('\t', ' ')}`]
  if (column === undefined) return frame
  return [...frame, `  ${' '.repeat(Math.max(0, column - 1 - indent))}^`]
}
