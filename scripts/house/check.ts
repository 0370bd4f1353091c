import { checkCircles } from './circles.ts'
import { checkDeterminism } from './determinism.ts'
import { checkDocstrings } from './docstrings.ts'
import { checkFloors } from './floors.ts'
import { checkSizes } from './sizes.ts'
import { type Finding, readTree } from './source.ts'
import { checkTestNames } from './test-names.ts'
import { checkWords } from './words.ts'

const rules = [
  checkFloors,
  checkCircles,
  checkSizes,
  checkDeterminism,
  checkDocstrings,
  checkWords,
  checkTestNames,
] as const

/** What the house has, and every breach of its rules, sorted by file and line. */
export function checkHouse(root: string): { readonly files: number; readonly findings: readonly Finding[] } {
  const files = readTree(root)
  const findings = rules.flatMap((rule) => rule(files))
  findings.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1))
  return { files: files.length, findings }
}
