import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isNode, nameOf, type SyntaxNode, walk } from '../house/source.ts'
import { type Declaration, docstringBefore, hiddenParts, listOf } from './declarations.ts'

/** A member of an interface or a class that has a docstring. */
export interface Member {
  readonly name: string
  readonly docstring: string
}

/** A literal with more members is shown by its first two. */
const mostMembers = 40

/** The members that say what they promise. */
export function documentedMembers({ nodes, file }: Declaration): readonly Member[] {
  const [node] = nodes
  return node === undefined
    ? []
    : membersOf(node).flatMap((member) => {
        const docstring = docstringBefore(file, member.start)
        const call = /Method|Call/.test(member.type) && member.kind !== 'get'
        return docstring === '' ? [] : [{ name: `${nameOf(member.key) ?? ''}${call ? '()' : ''}`, docstring }]
      })
}

/** The names of all members. */
export function memberNames({ nodes }: Declaration): readonly (string | undefined)[] {
  return nodes.flatMap(membersOf).map(({ key }) => nameOf(key))
}

/** The TypeScript of a declaration, without what is private and without docstrings; to be formatted. */
export function signatureOf({ nodes, file, isTypeOnly }: Declaration): string {
  return nodes
    .map((node) => {
      const comments = file.comments.filter(({ start }) => start > node.start)
      const cuts = tooMany(node)
      const whole = withoutParts(file.text, node, [...hiddenParts(node, isTypeOnly), ...comments, ...cuts])
      const text = cuts.length === 0 ? whole : whole.replace(/\}$|\};$/, '// and so on\n}')
      return text.startsWith('declare ') || /^(interface|type) /.test(text) ? text : `declare ${text}`
    })
    .join('\n')
}

/** Formats signatures as the house does, in one run of the formatter, and leaves the `declare` out. */
export function formatAll(signatures: readonly string[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reference-'))
  try {
    mkdirSync(join(folder, 'of'))
    const formatter = { indentStyle: 'space', indentWidth: 2, lineWidth: 92 }
    const script = { formatter: { quoteStyle: 'single', semicolons: 'asNeeded' } }
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ root: true, formatter, javascript: script }))
    const files = signatures.map((_, index) => join(folder, 'of', `${index}.d.ts`))
    for (const [index, file] of files.entries()) writeFileSync(file, signatures[index] ?? '')
    const biome = resolve('node_modules/@biomejs/biome/bin/biome')
    execFileSync(process.execPath, [biome, 'format', '--write', '--log-level=error', 'of'], {
      cwd: folder,
      stdio: 'pipe',
    })
    return files.map((file) =>
      readFileSync(file, 'utf8')
        .trim()
        .replace(/^declare /gm, ''),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function membersOf(node: SyntaxNode): readonly SyntaxNode[] {
  if (isNode(node.body)) return listOf(node.body.body)
  return isNode(node.typeAnnotation) ? listOf(node.typeAnnotation.members) : []
}

/** All but the first members of literals that have very many. */
function tooMany(node: SyntaxNode): readonly SyntaxNode[] {
  const found: SyntaxNode[] = []
  walk(node, (each) => {
    const members = each.type === 'TSTypeLiteral' ? listOf(each.members) : []
    if (members.length > mostMembers) found.push(...members.slice(2))
  })
  return found
}

function withoutParts(
  text: string,
  { start, end }: SyntaxNode,
  parts: readonly { readonly start: number; readonly end: number }[],
): string {
  let from = start
  let kept = ''
  for (const part of [...parts].sort((a, b) => a.start - b.start)) {
    if (part.start < from || part.end > end) continue
    kept += text.slice(from, part.start)
    from = part.end
  }
  return (kept + text.slice(from, end)).replace(/\n\s*(?=\n)/g, '')
}
