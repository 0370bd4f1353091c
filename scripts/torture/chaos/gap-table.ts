import type { Gap } from './gaps.ts'

/** How long nothing went on, for each thing that failed, as lines for people; none where nothing was measured. */
export function gapTable(gaps: readonly (Gap & { readonly engine: string })[]): readonly string[] {
  const rows = new Map<string, Gap[]>()
  for (const gap of gaps) {
    const name = `${gap.engine}: ${gap.fault}`
    rows.set(name, [...(rows.get(name) ?? []), gap])
  }
  if (rows.size === 0) return []
  const lines = [...rows].sort(([one], [other]) => (one < other ? -1 : 1)).map(lineOf)
  return [
    '',
    `${'the longest time, in seconds (middle, worst)'.padEnd(44)} times  no publish acknowledged  a partition handles nothing  publishes refused`,
    ...lines,
    '',
  ]
}

function lineOf([name, gaps]: readonly [string, readonly Gap[]]): string {
  const publish = middleAndWorst(gaps.map(({ publishMs }) => publishMs))
  const handle = middleAndWorst(gaps.map(({ handleMs }) => handleMs))
  return `${name.padEnd(44)} ${String(gaps.length).padStart(5)}  ${publish.padStart(23)}  ${handle.padStart(27)}  ${refusedIn(gaps)}`
}

function refusedIn(gaps: readonly Gap[]): string {
  const counts = new Map<string, number>()
  for (const [code, count] of gaps.flatMap(({ refused }) => Object.entries(refused))) {
    counts.set(code, (counts.get(code) ?? 0) + count)
  }
  return [...counts].map(([code, count]) => `${code} ${count}`).join(', ') || 'none'
}

function middleAndWorst(durationsMs: readonly number[]): string {
  const sorted = [...durationsMs].sort((one, other) => one - other)
  const seconds = (durationMs = 0) => (durationMs / 1000).toFixed(1)
  return `${seconds(sorted[(sorted.length - 1) >> 1])} ${seconds(sorted.at(-1)).padStart(5)}`
}
