import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative, sep } from 'node:path'
import { parseSync, visitorKeys } from 'oxc-parser'

/** A node of the syntax tree, as far as the rules look at it. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [property: string]: unknown
}

/** A mention of another module. */
export interface ModuleReference {
  readonly kind: 'value' | 'type' | 'dynamic'
  /** Undefined for an `import()` whose argument is not a literal. */
  readonly specifier: string | undefined
  /** The names taken from it, as they are exported there; `*` for the whole module. */
  readonly names: readonly string[]
  readonly start: number
}

/** A parsed file of the tree; `path` is relative to its root, with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly program: SyntaxNode
  readonly comments: readonly Comment[]
  readonly references: readonly ModuleReference[]
}

/** A comment, with its text between the marks. */
export interface Comment {
  readonly type: 'Line' | 'Block'
  readonly value: string
  readonly start: number
  readonly end: number
}

/** A breach of a rule. */
export interface Finding {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

const notOurs = new Set(['node_modules', 'dist', 'coverage'])
const isSource = /\.(ts|mts|cts|tsx|js|mjs|cjs)$/
const isGenerated = /\.generated\.|\.d\.ts$/

/** Reads and parses every source file under `root`, sorted by path; hidden and generated ones are left out. */
export function readTree(root: string): SourceFile[] {
  return listFiles(root)
    .map((file) => parse(relative(root, file).split(sep).join('/'), readFileSync(file, 'utf8')))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || notOurs.has(entry.name)) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return listFiles(path)
    return isSource.test(entry.name) && !isGenerated.test(entry.name) ? [path] : []
  })
}

/** Parses one file; throws when it has a syntax error. */
export function parse(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text)
  const [error] = parsed.errors
  if (error !== undefined) throw new Error(`${path}: ${error.message}`)
  const program = parsed.program as unknown as SyntaxNode
  return { path, text, program, comments: parsed.comments, references: referencesOf(program) }
}

/** Calls `visit` with every node below `node` and itself, parents first. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
  parent?: SyntaxNode,
): void {
  visit(node, parent)
  for (const key of visitorKeys[node.type] ?? []) {
    const child = node[key]
    for (const each of Array.isArray(child) ? child : [child]) {
      if (isNode(each)) walk(each, visit, node)
    }
  }
}

/** Whether `value` is a node of the syntax tree. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}

/** The name of an identifier, or the text of a string literal; undefined for any other node. */
export function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  const name = node.type === 'Identifier' ? node.name : node.type === 'Literal' ? node.value : undefined
  return typeof name === 'string' ? name : undefined
}

/** The line of an offset, counted from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1
  return line
}

/** A finding at an offset of a file. */
export function findingAt(file: SourceFile, offset: number, rule: string, message: string): Finding {
  return { file: file.path, line: lineAt(file.text, offset), rule, message }
}

/** The path of the file that a relative reference means, from the root; undefined for a package. */
export function resolveReference(file: SourceFile, specifier: string | undefined): string | undefined {
  if (specifier === undefined || !specifier.startsWith('.')) return undefined
  return posix.normalize(posix.join(posix.dirname(file.path), specifier))
}

function referencesOf(program: SyntaxNode): ModuleReference[] {
  const references: ModuleReference[] = []
  walk(program, (node) => {
    const source = isNode(node.source) && node.source.type === 'Literal' ? nameOf(node.source) : undefined
    if (node.type === 'ImportExpression') {
      references.push({ kind: 'dynamic', specifier: source, names: ['*'], start: node.start })
    } else if (node.type === 'TSImportType') {
      references.push({ kind: 'type', specifier: source, names: [], start: node.start })
    } else if (source !== undefined && /^(Import|Export)\w*Declaration$/.test(node.type)) {
      references.push({ kind: kindOf(node), specifier: source, names: namesOf(node), start: node.start })
    }
  })
  return references
}

function specifiersOf(node: SyntaxNode): SyntaxNode[] {
  return Array.isArray(node.specifiers) ? node.specifiers.filter(isNode) : []
}

function kindOf(node: SyntaxNode): 'value' | 'type' {
  if (node.importKind === 'type' || node.exportKind === 'type') return 'type'
  const specifiers = specifiersOf(node)
  const allTypes = specifiers.every((each) => each.importKind === 'type' || each.exportKind === 'type')
  return specifiers.length > 0 && allTypes ? 'type' : 'value'
}

function namesOf(node: SyntaxNode): string[] {
  if (node.type === 'ExportAllDeclaration') return ['*']
  return specifiersOf(node).map((each) => {
    if (each.type === 'ImportSpecifier') return nameOf(each.imported) ?? '*'
    return each.type === 'ExportSpecifier' ? (nameOf(each.local) ?? '*') : '*'
  })
}
