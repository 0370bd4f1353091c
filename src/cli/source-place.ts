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

/** The head of a syntax error's stack with the caret below its line, and the frames of any stack. */
const placePattern =
  /^(?<head>(?:file:\/\/)?(?:\/|[A-Za-z]:\\).*?):(?<headLine>\d+)\n(?:.*\n)*?(?<caret>[ \t]*)\^|(?<url>file:\/\/[^\s()]+?):(?<line>\d+)(?::(?<column>\d+))?/gm
const missingPattern = /^Cannot find (?:module|package) '(?<missing>[^']+)' imported from (?<importer>.+)$/m

/** The first place of an error's stack that is neither Node's nor a library's nor ours; undefined where there is none. */
export function sourcePlace(error: unknown): SourcePlace | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  for (const { groups = {} } of stack.matchAll(placePattern)) {
    const { head, headLine, caret, url, line, column } = groups
    const path = pathOf(head ?? url ?? '')
    if (!isOfUser(path)) continue
    const place = placeAt(path, Number(headLine ?? line), Number(column ?? (caret?.length ?? -1) + 1))
    if (place !== undefined) return place
  }
  return importerPlace(error)
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
  const lines = readFileSync(importer, 'utf8').split('\n')
  const index = lines.findIndex(
    (line) => line.includes(basename(missing)) && /import|export|require/.test(line),
  )
  const column = (lines[index] ?? '').indexOf(basename(missing)) + 1
  return index === -1 ? undefined : placeAt(importer, index + 1, column)
}

function pathOf(head: string): string {
  return head.startsWith('file:') ? fileURLToPath(head) : head
}

function placeAt(path: string, line: number, column: number): SourcePlace | undefined {
  const text = readFileSync(path, 'utf8').split('\n')[line - 1]?.trimEnd()
  if (text === undefined || text.trim() === '') return undefined
  return { path: relative('', path), line, ...(column > 0 ? { column } : {}), text }
}

/** A place for people: where it is, the line, and a caret below its column. */
export function sourceFrame({ path, line, column, text }: SourcePlace): readonly string[] {
  const where = column === undefined ? `${path}:${line}` : `${path}:${line}:${column}`
  const indent = text.length - text.trimStart().length
  const shown = text.slice(indent).replaceAll('\t', ' ')
  const frame = [where, `  ${shown}`]
  if (column === undefined) return frame
  return [...frame, `  ${' '.repeat(Math.max(0, column - 1 - indent))}^`]
}
