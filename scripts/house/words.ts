import { type Finding, findingAt, type SourceFile, walk } from './source.ts'

// Spelled in parts, so that this file does not report itself.
const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`)

/** No type is waved through, and nothing is left for later. */
export function checkWords(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [...checkTypes(file), ...checkComments(file)])
}

function checkTypes(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  walk(file.program, (node) => {
    if (node.type === 'TSAnyKeyword') {
      findings.push(
        findingAt(file, node.start, 'words', "'any' turns the types off; use 'unknown' and narrow it"),
      )
    }
    if (node.type === 'TSNonNullExpression' || node.definite === true) {
      findings.push(findingAt(file, node.start, 'words', "'!' claims what it does not check; check it"))
    }
  })
  return findings
}

function checkComments(file: SourceFile): Finding[] {
  return file.comments.flatMap((comment) => {
    const word = unfinished.exec(comment.value)?.[0]
    if (word !== undefined) {
      return [findingAt(file, comment.start, 'words', `${word}: finish it, or open an issue`)]
    }
    const silenced = /@ts-(ignore|nocheck|expect-error)/.exec(comment.value)?.[0]
    const expected = silenced === '@ts-expect-error' && file.path.startsWith('test/')
    if (silenced === undefined || expected) return []
    return [findingAt(file, comment.start, 'words', `${silenced} hides what the compiler found`)]
  })
}
