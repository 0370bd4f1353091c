import type { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { MillraceError, messageOf } from '../core/errors.ts'

type Style = Parameters<typeof styleText>[0]

/** A stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** How a command speaks. */
export interface OutputOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Results and errors as JSON. */
  readonly json: boolean
  /** Errors with their stacks and causes. */
  readonly verbose: boolean
}

/** What a command says: results on standard output; errors, notes and progress on standard error. */
export class Output {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly json: boolean
  readonly verbose: boolean

  constructor(options: OutputOptions) {
    this.stdout = options.stdout
    this.stderr = options.stderr
    this.json = options.json
    this.verbose = options.verbose
  }

  /** Writes a line of the result; resolves when there is room for more. */
  async print(line: string): Promise<void> {
    if (this.stdout.write(`${line}\n`) || this.stdout.destroyed) return
    await new Promise<void>((resolve) => {
      const settle = () => {
        this.stdout.off('drain', settle).off('close', settle).off('error', settle)
        resolve()
      }
      this.stdout.on('drain', settle).on('close', settle).on('error', settle)
    })
  }

  /** Writes the result for programs, on one line. */
  printJson(value: unknown): Promise<void> {
    return this.print(JSON.stringify(value))
  }

  /** Tells people something beside the result; nothing with `--json`. */
  note(line: string): void {
    if (!this.json) this.stderr.write(`${line}\n`)
  }

  /** Reports an error: one line, or one JSON object. */
  error(error: unknown): void {
    this.#report('error', 'red', error)
  }

  /** Reports what went wrong with a part, an error or a text, where the command goes on. */
  warning(error: unknown): void {
    this.#report('warning', 'yellow', error)
  }

  /** Colours text for standard output: only on a terminal, and never against `NO_COLOR`. */
  style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.stdout })
  }

  #report(kind: 'error' | 'warning', style: Style, error: unknown): void {
    if (this.json) {
      this.stderr.write(`${JSON.stringify({ [kind]: describe(error, this.verbose) })}\n`)
      return
    }
    this.stderr.write(`${styleText(style, `${kind}:`, { stream: this.stderr })} ${errorLine(error)}\n`)
    if (this.verbose) this.stderr.write(`${stackOf(error)}\n`)
  }
}

/** An error on one line: its code, what was wrong, where, and what to do. */
export function errorLine(error: unknown): string {
  if (typeof error === 'string') return oneLine(error)
  if (!(error instanceof MillraceError)) return oneLine(`${nameOf(error)}: ${messageOf(error)}`)
  const where = error.where === undefined ? '' : ` (${error.where})`
  const fix = error.fix === undefined ? '' : ` ${error.fix}`
  return oneLine(`${error.code}: ${error.message}${where}${fix}`)
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ')
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error'
}

function describe(error: unknown, verbose: boolean): object {
  const more = verbose ? { stack: stackOf(error) } : {}
  if (!(error instanceof MillraceError)) return { name: nameOf(error), message: messageOf(error), ...more }
  const { code, message, where, fix, facts } = error
  return { code, message, where, fix, ...(Object.keys(facts).length === 0 ? {} : { facts }), ...more }
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.stack ?? String(error)
  return error.cause === undefined ? own : `${own}\nCaused by: ${stackOf(error.cause)}`
}

/** Lays rows out in columns; numbers stand to the right. The first row is the heading. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, String(cell).length)
    }
  }
  const body = rows[1] ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof body[column] === 'number' ? String(cell).padStart(width) : String(cell).padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
