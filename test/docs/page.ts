import { readFileSync } from 'node:fs'

/** A fenced block of a page, with the paragraphs before it. */
export interface Block {
  /** `sh` runs, `ts app.ts` is written, `text` behind `sh` is what that says, `text application` what the application says. */
  readonly language: string
  readonly name: string
  readonly text: string
  readonly line: number
  readonly before: string
}

/** The fenced blocks of a page, in order; what a comment `<!-- before … -->` has is run like a block of commands. */
export function blocksOf(path: string): readonly Block[] {
  const page = readFileSync(path, 'utf8').replace(/^<!-- before\n(.*?)^-->$/gms, '```sh\n$1```')
  let end = 0
  return [...page.matchAll(/^```(\w+)(?: ([^\n]+))?\n(.*?)^```$/gms)].map((found) => {
    const [whole, language = '', name = '', text = ''] = found
    const before = page.slice(end, found.index)
    end = found.index + whole.length
    return { language, name, text, before, line: page.slice(0, found.index).split('\n').length }
  })
}

/** The commands of a block: a line each, unless a line ends in a backslash; comments are left out. */
export function commandsOf({ text }: Block): readonly string[] {
  const lines = text.replace(/\\\n/g, '').split('\n')
  return lines.map((line) => line.replace(/(^|\s+)# .*$/, '').trim()).filter((line) => line !== '')
}

const varying: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/, 'ID'],
  [/[0-9a-f]{64}/, 'HASH'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/, 'TIME'],
  [/\b\d+(\.\d+)? ?(ms|s)\b/, 'DURATION'],
  [/"pid":\d+/, '"pid":PID'],
  [/"elapsedMs":\d+/, '"elapsedMs":DURATION'],
]

/** Text without what differs from run to run: ids, hashes, times, durations. */
export function withoutVarying(text: string): string {
  const plain = varying.reduce((all, [pattern, word]) => all.replace(new RegExp(pattern, 'g'), word), text)
  return plain.replace(/[ \t]+$/gm, '').trim()
}

/** Whether a command wrote what the page shows. In that `…` is anything in a line, and any lines where it stands alone. */
export function says(actual: string, shown: string): boolean {
  return pattern(shown, '^', '$').test(withoutVarying(actual))
}

/** Where, in what was written, that which the page shows ends; undefined when it is not there. */
export function endOf(actual: string, shown: string): number | undefined {
  const found = pattern(shown, '', '').exec(withoutVarying(actual))
  return found === null ? undefined : found.index + found[0].length
}

function pattern(shown: string, before: string, after: string): RegExp {
  const lines = withoutVarying(shown).split('\n')
  const source = lines.map((line, index) => {
    const end = index === lines.length - 1 ? '' : '\\n'
    if (line === '…') return `(?:.*${end || '\\n?'})*?`
    return `${escaped(line).replaceAll(escaped('…'), '.*')}${end}`
  })
  return new RegExp(`${before}${source.join('')}${after}`)
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * A file as a page's snippet leaves it. A snippet that begins with the import of a package is a whole file; otherwise each of its top-level parts
 * replaces the one of its name, imports go to the top, and what is new goes before the default export or the end. A line
 * such as `  handlers: […],` replaces the line that begins so.
 */
export function edited(file: string | undefined, snippet: string): string {
  if (file === undefined || /^import .* from '[^.]/.test(snippet)) return snippet
  return partsOf(snippet).reduce(withPart, file)
}

function partsOf(snippet: string): readonly string[] {
  return snippet
    .split(/^(?=import |export |const |async function |function |test\(|\/\*\*| {2}\w+: )/m)
    .reduce((parts: string[], part) => {
      const last = parts.at(-1)
      if (last?.startsWith('/**')) parts[parts.length - 1] = last + part
      else if (part.trim() !== '') parts.push(part)
      return parts
    }, [])
}

function withPart(file: string, part: string): string {
  const [property] = /^ {2}\w+: /.exec(part) ?? []
  if (property !== undefined) return file.replace(new RegExp(`^${property}.*\\n`, 'm'), () => part)
  const [, source] = /^import .* from ('.*')$/m.exec(part) ?? []
  if (source !== undefined) {
    const same = new RegExp(`^import .* from ${escaped(source)}\\n`, 'm')
    return same.test(file) ? file.replace(same, () => `${part.trimEnd()}\n`) : `${part.trimEnd()}\n${file}`
  }
  const [head] = /^(export )?(const|async function|function) \w+/m.exec(part) ?? []
  if (head !== undefined) {
    const own = new RegExp(`^(/\\*\\*[^\\n]*\\n)?${escaped(head)}\\b[^]*?^\\S*[)}]+\\n`, 'm')
    if (own.test(file)) return file.replace(own, () => `${part.trimEnd()}\n`)
  }
  const end = file.indexOf('export default ')
  const at = end === -1 ? file.length : end
  return `${file.slice(0, at)}\n${part.trimEnd()}\n\n${file.slice(at)}`
}
