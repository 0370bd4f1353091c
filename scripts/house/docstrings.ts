import { type Finding, findingAt, isNode, nameOf, type SourceFile, type SyntaxNode } from './source.ts'

/** Every declaration that a file of `src` exports says what it promises. */
export function checkDocstrings(files: readonly SourceFile[]): Finding[] {
  return files.filter((file) => file.path.startsWith('src/')).flatMap(checkFile)
}

function checkFile(file: SourceFile): Finding[] {
  const statements = (file.program.body as SyntaxNode[]) ?? []
  const exportedLater = new Set(statements.flatMap(localExports))
  const findings: Finding[] = []
  const documented = new Set<string>()
  for (const statement of statements) {
    const declaration = declarationOf(statement, exportedLater)
    if (declaration === undefined) continue
    const name = namesOf(declaration).join(', ') || 'default export'
    if (hasDocstring(file, statement)) documented.add(name)
    else if (!documented.has(name)) {
      findings.push(
        findingAt(file, statement.start, 'docstrings', `'${name}' is exported without a docstring`),
      )
    }
  }
  return findings
}

/** The declaration that a statement exports, itself or by an export list elsewhere. */
function declarationOf(statement: SyntaxNode, exportedLater: ReadonlySet<string>): SyntaxNode | undefined {
  const isExport =
    statement.type === 'ExportNamedDeclaration' || statement.type === 'ExportDefaultDeclaration'
  if (isExport) {
    const { declaration } = statement
    const isName = isNode(declaration) && declaration.type === 'Identifier'
    return isNode(declaration) && !isName ? declaration : undefined
  }
  return namesOf(statement).some((name) => exportedLater.has(name)) ? statement : undefined
}

function localExports(statement: SyntaxNode): string[] {
  if (statement.type === 'ExportDefaultDeclaration') return [nameOf(statement.declaration) ?? '']
  if (statement.type !== 'ExportNamedDeclaration' || isNode(statement.source)) return []
  const specifiers = Array.isArray(statement.specifiers) ? statement.specifiers : []
  return specifiers.map((each: SyntaxNode) => nameOf(each.local) ?? '')
}

function namesOf(declaration: SyntaxNode): string[] {
  if (!Array.isArray(declaration.declarations))
    return [nameOf(declaration.id)].filter((name) => name !== undefined)
  return declaration.declarations.map((each: SyntaxNode) => nameOf(each.id) ?? '')
}

function hasDocstring(file: SourceFile, statement: SyntaxNode): boolean {
  return file.comments.some(
    (comment) =>
      comment.type === 'Block' &&
      comment.value.startsWith('*') &&
      comment.end <= statement.start &&
      file.text.slice(comment.end, statement.start).trim() === '',
  )
}
