import { MillraceError } from '../../core/errors.ts'
import type { Line } from './lines.ts'

/** What the cells of a column become; text unless told otherwise. */
export type CsvType = 'text' | 'number' | 'boolean'

/** How CSV is read. */
export interface CsvOptions {
  /** What stands between cells. */
  readonly delimiter: string
  /** The types of columns, by their names. */
  readonly types: ReadonlyMap<string, CsvType>
  /** The bound of a row. */
  readonly maxBytes: number
}

/**
 * Takes the rows out of CSV (RFC 4180) whose first row names the columns: each is an item whose bytes are the JSON of an
 * object, and whose number is the line it begins at. A row that cannot be one carries its problem. Throws `CSV_INVALID` for
 * a header without clear names and for quotes that leave open where a row ends, and `COMMAND_INVALID` for a type of a column
 * that is not there.
 */
export async function* splitCsv(
  bytes: AsyncIterable<Uint8Array>,
  options: CsvOptions,
): AsyncGenerator<Line[]> {
  const { parse, CsvError } = await import('csv-parse')
  const rows = new Rows(options)
  const parser = parse({
    delimiter: options.delimiter,
    // As bytes, because text that is not UTF-8 must be seen and refused.
    encoding: null,
    max_record_size: options.maxBytes,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    skip_empty_lines: true,
    on_record: (cells: unknown, { lines }) => {
      rows.add(cells as readonly Buffer[], lines)
      return null
    },
  })
  let failure: unknown
  parser.on('error', (error) => {
    failure ??= error
  })
  const settled = async (send: (done: () => void) => void) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    parser.once('error', resolve)
    send(resolve)
    await promise
    parser.off('error', resolve)
  }
  for await (const chunk of withoutMark(bytes)) {
    await settled((done) => parser.write(chunk, () => done()))
    const lines = rows.take()
    if (lines.length > 0) yield lines
    if (failure !== undefined) break
  }
  if (failure === undefined) await settled((done) => parser.end(done))
  const last = rows.take()
  if (last.length > 0) yield last
  if (failure instanceof CsvError) throw rows.broken(failure.code, failure)
  if (failure !== undefined) throw failure
}

/** Leaves out a byte order mark; the parser would, but then it decodes what is not UTF-8 as if it were. */
async function* withoutMark(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const mark = Buffer.from([0xef, 0xbb, 0xbf])
  let head: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of bytes) {
    if (head === undefined) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    if (head.length < mark.length) continue
    yield head.subarray(0, mark.length).equals(mark) ? head.subarray(mark.length) : head
    head = undefined
  }
  if (head !== undefined) yield head
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

class Rows {
  readonly #options: CsvOptions
  #names: readonly string[] | undefined
  #lines: Line[] = []
  #failure: MillraceError | undefined
  /** The line at which the last row ended. */
  #lastLine = 0
  /** How many line breaks of two characters there were within cells: the parser counts these twice. */
  #doubled = 0

  constructor(options: CsvOptions) {
    this.#options = options
  }

  add(cells: readonly Buffer[], endLine: number): void {
    const breaks = cells.flatMap((cell) => cell.toString('latin1').match(/\r\n|\r|\n/g) ?? [])
    const doubled = breaks.filter((one) => one.length === 2).length
    const number = endLine - this.#doubled - breaks.length - doubled
    this.#doubled += doubled
    this.#lastLine = number + breaks.length
    try {
      if (this.#names === undefined) this.#names = this.#header(cells, number)
      else this.#lines.push(lineOf(number, JSON.stringify(this.#object(this.#names, cells))))
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      if (this.#names === undefined) this.#failure ??= error
      // As Latin-1 every byte is a character, so that this row too is told from any other.
      else
        this.#lines.push({
          ...lineOf(number, cells.map((cell) => cell.toString('latin1')).join('\0')),
          problem: error,
        })
      this.#names ??= []
    }
  }

  /** The rows since it was last asked. */
  take(): Line[] {
    if (this.#failure !== undefined) throw this.#failure
    const lines = this.#lines
    this.#lines = []
    return lines
  }

  /** What is thrown for CSV that cannot be read on. */
  broken(code: string, cause: Error): MillraceError {
    const line = this.#lastLine + 1
    const reason =
      code === 'CSV_MAX_RECORD_SIZE'
        ? `has more than ${this.#options.maxBytes} bytes; perhaps a quote is not closed`
        : code === 'CSV_QUOTE_NOT_CLOSED'
          ? 'has a quote that is not closed'
          : 'has a quote within a cell that is not quoted, or text behind a closing one'
    return new MillraceError('CSV_INVALID', `The row ${reason}, so where it ends is not clear.`, {
      where: `line ${line}`,
      fix: 'Correct it, write a quote within quotes twice, and run the same command again: it goes on where it stopped.',
      cause,
    })
  }

  #header(cells: readonly Buffer[], number: number): readonly string[] {
    const names = cells.map((cell, index) => textOf(cell, `column ${index + 1}`))
    const unclear = names.find((name, index) => name === '' || names.indexOf(name) !== index)
    if (unclear !== undefined) {
      const what = unclear === '' ? 'A column has no name' : `Two columns are called '${unclear}'`
      throw new MillraceError('CSV_INVALID', `${what}.`, {
        where: `line ${number}`,
        fix: 'Give each column a name of its own in the first row, and name the --csv-delimiter if it is no comma.',
      })
    }
    for (const name of this.#options.types.keys()) {
      if (names.includes(name)) continue
      throw new MillraceError('COMMAND_INVALID', `There is no column '${name}'.`, {
        where: '--csv-types',
        fix: `Use one of: ${names.join(', ')}.`,
      })
    }
    return names
  }

  #object(names: readonly string[], cells: readonly Buffer[]): object {
    if (cells.length !== names.length) {
      throw new MillraceError(
        'CSV_INVALID',
        `The row has ${cells.length} cells for ${names.length} columns.`,
        {
          fix: 'Correct the row.',
        },
      )
    }
    const members = names.flatMap((name, index) => {
      const text = textOf(cells[index] ?? Buffer.of(), name)
      const value = cellValue(text, this.#options.types.get(name) ?? 'text', name)
      return value === undefined ? [] : [[name, value] as const]
    })
    return Object.fromEntries(members)
  }
}

function lineOf(number: number, text: string): Line {
  const bytes = Buffer.from(text)
  return { number, bytes, totalBytes: bytes.length }
}

function textOf(cell: Buffer, where: string): string {
  try {
    return decoder.decode(cell)
  } catch (cause) {
    throw new MillraceError('CSV_INVALID', 'The cell is not UTF-8.', {
      where,
      fix: 'Save the file as UTF-8.',
      cause,
    })
  }
}

/** The value of a cell; undefined for an empty one that is no text. */
function cellValue(text: string, type: CsvType, column: string): string | number | boolean | undefined {
  if (type === 'text') return text
  const word = text.trim()
  if (word === '') return undefined
  if (type === 'boolean') {
    if (/^(?:true|false)$/i.test(word)) return word.toLowerCase() === 'true'
    throw wrongType(text, 'true or false', column)
  }
  const number = Number(word)
  const exact = !Number.isInteger(number) || Number.isSafeInteger(number)
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(word) && Number.isFinite(number) && exact)
    return number
  throw wrongType(text, 'a number that can be kept as it is', column)
}

function wrongType(text: string, wanted: string, column: string): MillraceError {
  const shown = text.length <= 40 ? text : `${text.slice(0, 40)}…`
  return new MillraceError('CSV_INVALID', `'${shown}' is not ${wanted}.`, {
    where: column,
    fix: 'Correct the cell, or leave the column as text.',
  })
}
