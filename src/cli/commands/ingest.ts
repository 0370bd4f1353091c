import type { Command } from 'commander'
import { parseCloudEvent } from '../../core/cloud-event.ts'
import { MillraceError } from '../../core/errors.ts'
import {
  type AccessOptions,
  type CommandContext,
  choice,
  misuse,
  topicName,
  wholeNumber,
  withAccess,
  withAccessOptions,
  withCommonOptions,
} from '../command.ts'
import { openBytes } from '../ingest/bytes.ts'
import { type CsvOptions, type CsvType, splitCsv } from '../ingest/csv.ts'
import { type IngestCounts, ingest } from '../ingest/ingest.ts'
import { splitItems } from '../ingest/lines.ts'
import { defaultSource, type Mapping } from '../ingest/mapping.ts'
import { ProgressView } from '../ingest/progress-view.ts'
import { loadApp } from '../load-app.ts'
import type { Output } from '../output.ts'

interface IngestCommandOptions extends AccessOptions, Mapping {
  readonly onError: 'stop' | 'skip'
  readonly maxLineBytes: number
  readonly app?: string
  readonly createTopic?: boolean
  readonly format: 'auto' | 'json' | 'csv'
  readonly csvTypes?: CsvOptions['types']
  readonly csvDelimiter: string
}

const mebibyte = 1024 * 1024

/** Adds `millrace ingest`. */
export function addIngest(program: Command, context: () => CommandContext): void {
  const command = program
    .command('ingest')
    .description('publish the lines of a file; running it again adds only what is new')
    .argument('<file>', 'JSON lines, one JSON array or CSV, gzip or not; - for standard input')
    .addOption(
      choice('--format <format>', 'auto is csv for .csv and .csv.gz', ['auto', 'json', 'csv'], 'auto'),
    )
    .option('--csv-types <types>', 'columns of CSV that are no text, such as n:number,paid:boolean', csvTypes)
    .option('--csv-delimiter <character>', 'what stands between the cells of CSV', csvDelimiter, ',')
    .option('--type <type>', 'the event type of lines that are no CloudEvents already')
    .option('--source <source>', 'the source of the events', defaultSource)
    .option(
      '--id-field <path>',
      'the field of a line that is its id; otherwise one is made of the content so far',
    )
    .option('--time-field <path>', 'the field that says when it happened; now unless given')
    .option('--subject-field <path>', 'the field that says what it is about')
    .option('--key-field <path>', 'the field that order is kept by, where the event type does not say')
    .option('--topic <topic>', "a topic other than the event type's", topicName)
    .addOption(choice('--on-error <what>', 'at a line that is refused', ['stop', 'skip'], 'stop'))
    .option('--max-line-bytes <bytes>', 'the bound of a line', wholeNumber(1, 256 * mebibyte), mebibyte)
    .option('--app <file>', 'the application whose schemas and keys hold, when the log is opened here')
    .option('--create-topic', 'create the topic when the log is opened here and has none of that name')
  withCommonOptions(withAccessOptions(command)).action(
    async (file: string, options: IngestCommandOptions) => await ingestFile(file, options, context()),
  )
}

async function ingestFile(
  file: string,
  options: IngestCommandOptions,
  context: CommandContext,
): Promise<void> {
  const { output, runtime } = context
  checkMapping(options)
  const source = await openBytes(file, context.standardInput)
  const view = new ProgressView(output, runtime, source)
  const { app } = options
  const loading = app === undefined ? {} : { loadApp: async () => (await loadApp(app)).app }
  await withAccess(context, { ...options, ...loading }, async (access) => {
    try {
      const counts = await ingest(itemsOf(file, source.bytes, options), {
        access,
        runtime,
        mapping: options,
        onError: options.onError,
        maxLineBytes: options.maxLineBytes,
        onSkipped: (error) => view.above(() => output.warning(error)),
        onProgress: (counts) => view.show(counts),
      })
      view.end()
      await summarize(output, file, counts)
    } catch (error) {
      view.end()
      throw stopped(error, file)
    }
  })
}

function itemsOf(file: string, bytes: AsyncIterable<Uint8Array>, options: IngestCommandOptions) {
  const { format, maxLineBytes, csvDelimiter: delimiter, csvTypes: types = new Map() } = options
  const isCsv = format === 'csv' || (format === 'auto' && /\.csv(?:\.gz)?$/i.test(file))
  return isCsv
    ? splitCsv(bytes, { delimiter, types, maxBytes: maxLineBytes })
    : splitItems(bytes, maxLineBytes)
}

function csvTypes(text: string): CsvOptions['types'] {
  const pairs = text.split(',').map((pair): readonly [string, CsvType] => {
    const [, column, type] = /^(.+):(text|number|boolean)$/.exec(pair) ?? []
    if (column !== undefined) return [column, type as CsvType]
    throw misuse(
      `'${pair}' is no type of a column.`,
      '--csv-types',
      'Write column:number, column:boolean or column:text, with commas between them.',
    )
  })
  return new Map(pairs)
}

function csvDelimiter(text: string): string {
  const delimiter = text === '\\t' ? '\t' : text
  if (/^[^"\r\n]$/.test(delimiter)) return delimiter
  throw misuse('It must be one character, and no quote.', '--csv-delimiter', "Use ',', ';' or '\\t'.")
}

/** A type or a source that no event can have is wrong for all lines, and the fault of none. */
function checkMapping({ type = 'any', source = defaultSource }: Mapping): void {
  try {
    parseCloudEvent({ specversion: '1.0', id: 'any', type, source }, '')
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw misuse(error.message, `--${error.where}`, error.fix ?? 'Correct it.')
  }
}

async function summarize(output: Output, file: string, counts: IngestCounts): Promise<void> {
  if (output.json) return output.printJson({ file, ...counts })
  const { lines, added, known, skipped } = counts
  await output.print(
    `${sourceName(file)}: ${lines} lines, ${added} added, ${known} in the log already, ${skipped} refused and skipped`,
  )
}

/** Tells what to do about a run that ended early, which differs from what the same error asks of a single event. */
function stopped(error: unknown, file: string): unknown {
  if (!(error instanceof MillraceError)) return error
  const { code, message, where, facts } = error
  if (facts.line !== undefined) {
    const fix = 'Correct the line, or go on without it: --on-error skip.'
    return new MillraceError(code, message, {
      where: `${sourceName(file)}, ${where}`,
      fix,
      cause: error,
      facts,
    })
  }
  // A fault of the file as a whole: its header, a quote or an array that does not end.
  if (code === 'CSV_INVALID' || code === 'JSON_INVALID') {
    const place = `${sourceName(file)}, ${where}`
    return new MillraceError(code, message, { where: place, fix: error.fix, cause: error, facts })
  }
  if (code === 'EVENT_TYPE_UNKNOWN')
    return new MillraceError(code, message, { where: '--type', fix: error.fix, cause: error })
  if (!error.retryable) return error
  const fix = `${error.fix ?? ''} Run the same command again: it goes on where it stopped.`.trim()
  return new MillraceError(code, message, { where, fix, cause: error, facts })
}

function sourceName(file: string): string {
  return file === '-' ? 'standard input' : file
}
