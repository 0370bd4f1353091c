import { type Finding, findingAt, resolveReference, type SourceFile } from './source.ts'

/** No file reaches itself through its imports, type imports included. One finding for each circle, at its first file. */
export function checkCircles(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const settled = new Set<string>()
  const findings: Finding[] = []

  const follow = (file: SourceFile, trail: readonly string[]): void => {
    const path = [...trail, file.path]
    for (const reference of file.references) {
      const target = byPath.get(resolveReference(file, reference.specifier) ?? '')
      if (target === undefined || settled.has(target.path)) continue
      const start = path.indexOf(target.path)
      if (start === -1) {
        follow(target, path)
      } else {
        const circle = [...path.slice(start), target.path].join(' -> ')
        findings.push(findingAt(file, reference.start, 'circles', circle))
      }
    }
    settled.add(file.path)
  }

  for (const file of files) {
    if (!settled.has(file.path)) follow(file, [])
  }
  return findings
}
