import { type Finding, findingAt, lineAt, nameOf, type SourceFile, type SyntaxNode, walk } from './source.ts'

/** The most lines of one function. */
export const maxFunctionLines = 70
/** The most lines of one file. */
export const maxFileLines = 500

const functionTypes = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

/** Functions and files small enough to be read at once. The callback of `describe` is a chapter, not a function. */
export function checkSizes(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [...checkFile(file), ...checkFunctions(file)])
}

function checkFile(file: SourceFile): Finding[] {
  const lines = lineAt(file.text, file.text.trimEnd().length)
  if (lines <= maxFileLines) return []
  return [findingAt(file, 0, 'sizes', `a file has at most ${maxFileLines} lines; this one has ${lines}`)]
}

function checkFunctions(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  walk(file.program, (node, parent) => {
    if (!functionTypes.has(node.type) || isChapter(parent)) return
    const start = parent?.type === 'MethodDefinition' ? parent.start : node.start
    const lines = lineAt(file.text, node.end) - lineAt(file.text, start) + 1
    if (lines <= maxFunctionLines) return
    const message = `a function has at most ${maxFunctionLines} lines; this one has ${lines}`
    findings.push(findingAt(file, start, 'sizes', message))
  })
  return findings
}

function isChapter(parent: SyntaxNode | undefined): boolean {
  if (parent?.type !== 'CallExpression') return false
  let callee = parent.callee as SyntaxNode
  while (callee.type === 'MemberExpression' || callee.type === 'CallExpression') {
    callee = (callee.type === 'MemberExpression' ? callee.object : callee.callee) as SyntaxNode
  }
  return nameOf(callee) === 'describe'
}
