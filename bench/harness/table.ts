import type { Line } from './run-row.ts'

const headers = ['what', 'ours', 'beside it', '', 'unit', 'ratio', 'goal'] as const

/** The lines as a table of Markdown, with what is to be said about them below it. */
export function table(lines: readonly Line[]): string {
  const rows = lines.map(cells)
  const widths = headers.map((header, column) =>
    Math.max(header.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  const notes = [...new Set(lines.flatMap((each) => each.notes))].map((note) => `- ${note}`)
  return [line(headers), rule, ...rows.map(line), ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')
}

/** One line by itself, to be seen before the table is complete. */
export function oneLine(line: Line): string {
  return `${line.name}: ${number(line.ours)} ${line.unit}, ${line.ratio.toFixed(2)} of ${line.peerIs}`
}

function cells(line: Line): string[] {
  const met = line.isMet === undefined ? '' : line.isMet ? ' yes' : ' NO'
  return [
    line.what,
    number(line.ours),
    line.peerIs,
    number(line.peer),
    line.unit,
    line.ratio.toFixed(2),
    `${line.goal}${met}`.trim(),
  ]
}

/** A figure with three digits that say something. */
function number(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}
