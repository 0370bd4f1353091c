import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isNode, nameOf, parse, type SourceFile, type SyntaxNode, walk } from '../house/source.ts'

/** A declaration of a name: one statement, or the overloads of a function. */
export interface Declaration {
  readonly name: string
  readonly kind: 'function' | 'class' | 'const' | 'interface' | 'type'
  /** Its declarations, without `export`. */
  readonly nodes: readonly SyntaxNode[]
  readonly file: SourceFile
  /** The text of its docstring, without the marks; empty when there is none. */
  readonly docstring: string
  /** Whether programs get its type only, so that nobody calls its constructor. */
  readonly isTypeOnly: boolean
}

const kinds: Readonly<Record<string, Declaration['kind']>> = {
  TSDeclareFunction: 'function',
  ClassDeclaration: 'class',
  VariableDeclaration: 'const',
  TSInterfaceDeclaration: 'interface',
  TSTypeAliasDeclaration: 'type',
}

/** The declarations that the compiler has written, read file by file as they are asked for. */
export class Declarations {
  readonly #files = new Map<string, SourceFile>()

  /** What a module exports, by its exported names, wherever it is declared. */
  exportsOf(path: string): ReadonlyMap<string, Declaration> {
    const file = this.#open(path)
    const found = new Map<string, Declaration>()
    for (const statement of statementsOf(file)) {
      if (statement.type !== 'ExportNamedDeclaration') continue
      for (const { exported, local, source, isTypeOnly } of exportedNames(statement)) {
        const from = source === undefined ? file.path : follow(file.path, source)
        const declaration = this.find(from, local)
        if (declaration === undefined) throw new Error(`${path} exports '${local}', which is not declared`)
        found.set(exported, { ...declaration, isTypeOnly })
      }
    }
    return found
  }

  /** The declaration that a name means in a file: its own, or one of Millrace that it imports or passes on. */
  find(path: string, name: string): Declaration | undefined {
    const file = this.#open(path)
    const nodes: SyntaxNode[] = []
    let docstring = ''
    for (const statement of statementsOf(file)) {
      const declared = isNode(statement.declaration) ? statement.declaration : statement
      if (!(declared.type in kinds) || declaredName(declared) !== name) continue
      nodes.push(declared)
      docstring ||= docstringBefore(file, statement.start)
    }
    const kind = kinds[nodes[0]?.type ?? '']
    if (kind !== undefined) return { name, kind, nodes, file, docstring, isTypeOnly: true }
    const imported = this.#importOf(file, name)
    return imported && this.find(imported.path, imported.name)
  }

  /** The declarations of Millrace that a declaration mentions. */
  mentionedBy(declaration: Declaration): readonly Declaration[] {
    const found = new Map<string, Declaration>()
    for (const node of declaration.nodes) {
      const hidden = hiddenParts(node, declaration.isTypeOnly)
      walk(node, (each) => {
        if (hidden.some(({ start, end }) => start <= each.start && each.end <= end)) return
        const name = mentionedName(each)
        if (name === undefined || name === declaration.name) return
        const mentioned = this.find(declaration.file.path, name)
        if (mentioned !== undefined) found.set(name, mentioned)
      })
    }
    return [...found.values()]
  }

  #importOf(file: SourceFile, name: string): { readonly path: string; readonly name: string } | undefined {
    for (const statement of statementsOf(file)) {
      const source = nameOf(statement.source)
      if (!source?.startsWith('.')) continue
      for (const each of listOf(statement.specifiers)) {
        if (nameOf(each.exported ?? each.local) !== name) continue
        return { path: follow(file.path, source), name: nameOf(each.imported ?? each.local) ?? name }
      }
    }
    return undefined
  }

  #open(path: string): SourceFile {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const file = parse(path, readFileSync(path, 'utf8'))
    this.#files.set(path, file)
    return file
  }
}

/** The text of the docstring that ends where `start` begins, a line for each of its lines. */
export function docstringBefore(file: SourceFile, start: number): string {
  const comment = file.comments.find(
    ({ type, value, end }) =>
      type === 'Block' && value.startsWith('*') && end <= start && file.text.slice(end, start).trim() === '',
  )
  const lines = (comment?.value.slice(1) ?? '').split('\n').map((line) => line.replace(/^\s*\* ?/, ''))
  return lines.join('\n').trim()
}

/** The nodes of a list in the tree. */
export function listOf(value: unknown): readonly SyntaxNode[] {
  return Array.isArray(value) ? value.filter(isNode) : []
}

/** What a reader of a class has no use for: what is private, and the constructor where only the type is exported. */
export function hiddenParts(node: SyntaxNode, isTypeOnly: boolean): readonly SyntaxNode[] {
  if (node.type !== 'ClassDeclaration' || !isNode(node.body)) return []
  return listOf(node.body.body).filter((member) => {
    const isHidden = isNode(member.key) && member.key.type === 'PrivateIdentifier'
    return isHidden || member.accessibility === 'private' || (isTypeOnly && member.kind === 'constructor')
  })
}

function statementsOf(file: SourceFile): readonly SyntaxNode[] {
  return listOf(file.program.body)
}

function declaredName(declared: SyntaxNode): string | undefined {
  const [variable] = listOf(declared.declarations)
  return nameOf(variable?.id ?? declared.id)
}

function mentionedName(node: SyntaxNode): string | undefined {
  if (node.type === 'TSTypeReference') return nameOf(node.typeName)
  if (node.type === 'TSTypeQuery') return nameOf(node.exprName)
  if (node.type === 'ClassDeclaration') return nameOf(node.superClass)
  return node.type === 'TSInterfaceHeritage' || node.type === 'TSClassImplements'
    ? nameOf(node.expression)
    : undefined
}

function exportedNames(statement: SyntaxNode) {
  const source = nameOf(statement.source)
  if (isNode(statement.declaration)) {
    const name = declaredName(statement.declaration) ?? ''
    return [{ exported: name, local: name, source, isTypeOnly: false }]
  }
  return listOf(statement.specifiers).map((each) => {
    const local = nameOf(each.local) ?? ''
    const isTypeOnly = statement.exportKind === 'type' || each.exportKind === 'type'
    return { exported: nameOf(each.exported) ?? local, local, source, isTypeOnly }
  })
}

function follow(from: string, specifier: string): string {
  return resolve(join(dirname(from), specifier)).replace(/\.[jt]s$/, '.d.ts')
}
