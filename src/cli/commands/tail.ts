import type { Command } from 'commander'
import { MillraceError } from '../../core/errors.ts'
import { eventToJson } from '../../core/event-codec.ts'
import { matchesAnyType } from '../../core/type-pattern.ts'
import type { LogAccess, ShownRecord, TopicView } from '../access/port.ts'
import {
  type AccessOptions,
  type CommandContext,
  misuse,
  wholeNumber,
  withAccess,
  withAccessOptions,
  withCommonOptions,
} from '../command.ts'
import type { Output } from '../output.ts'
import { type From, mergePlaces, newest, type Reading } from '../reading.ts'
import { stopRequest } from '../stop-request.ts'
import { followTail, typePattern } from './tail-follow.ts'

interface TailOptions extends AccessOptions {
  readonly topic?: string
  readonly partition?: number
  readonly from?: From
  readonly limit?: number
  readonly type?: readonly string[]
  readonly follow?: boolean
}

const newestUnlessTold = 10

/** Adds `millrace tail`. */
export function addTail(program: Command, context: () => CommandContext): void {
  const command = program
    .command('tail')
    .description('show the newest records, or all from a place on; with --json a line for each')
    .option('--topic <topic>', "only this topic; otherwise all but Millrace's own")
    .option('--partition <number>', 'only this partition', wholeNumber(0, 65_535))
    .option(
      '--from <place>',
      'start, end, an offset (with --topic and --partition), or a time (ISO 8601)',
      parseFrom,
    )
    .option(
      '--limit <count>',
      `at most this many records; ${newestUnlessTold} without --from`,
      wholeNumber(1, 1_000_000_000),
    )
    .option(
      '--type <pattern>',
      "only these event types: '*' is any word, '>' all words that follow; may be repeated",
      typePattern,
    )
    .option('-f, --follow', 'go on with what comes, until it is interrupted')
  withCommonOptions(withAccessOptions(command)).action(
    async (options: TailOptions) => await tail(options, context()),
  )
}

async function tail(options: TailOptions, context: CommandContext): Promise<void> {
  const { from, limit, topic, partition } = options
  if (typeof from === 'number' && (topic === undefined || partition === undefined)) {
    throw misuse(
      'An offset is a place in one partition.',
      '--from',
      'Give --topic and --partition with it, or a time.',
    )
  }
  if (options.follow && from !== undefined && limit !== undefined) {
    throw misuse('With --from and --follow there is no end.', '--limit', 'Leave --limit or --follow out.')
  }
  const stop = options.follow ? stopRequest(process, context.runtime) : undefined
  try {
    await withAccess(context, options, (access) => showRecords(access, options, context, stop?.signal))
  } finally {
    stop?.forget()
  }
}

/** Shows what is there, and what comes where `following` is given, until that aborts. */
async function showRecords(
  access: LogAccess,
  { topic, partition, from, limit, type: types = [] }: TailOptions,
  context: CommandContext,
  following: AbortSignal | undefined,
): Promise<void> {
  const { output } = context
  const views = viewsOf(await access.topics(), topic)
  const places = placesOf(views, partition)
  const reading: Reading = { access, places, isWanted: ({ event }) => matchesAnyType(types, event.type) }
  const records =
    from === undefined ? newest(reading, limit ?? newestUnlessTold) : mergePlaces(reading, from, limit)
  let shown = 0
  for await (const record of records) {
    if (output.stdout.destroyed || following?.aborted) return
    await show(output, record)
    shown += 1
  }
  if (following === undefined) {
    if (shown === 0) {
      const which = `${types.length === 0 ? '' : 'of these types '}${from === undefined ? '' : 'from there on '}`
      output.note(`There are no records ${which}in ${access.location}.`)
    }
    return
  }
  const tail = { access, views, topic, partition, types, signal: following }
  for await (const record of followTail(tail, context)) {
    if (output.stdout.destroyed) return
    await show(output, record)
  }
}

function viewsOf(topics: readonly TopicView[], topic: string | undefined): readonly TopicView[] {
  const named = topics.filter(({ name }) =>
    topic === undefined ? !name.startsWith('millrace.') : name === topic,
  )
  if (topic === undefined || named.length > 0) return named
  throw new MillraceError('TOPIC_UNKNOWN', `There is no topic '${topic}'.`, {
    where: '--topic',
    fix: `Use one of: ${topics.map(({ name }) => name).join(', ') || '(the log has none)'}.`,
  })
}

function placesOf(views: readonly TopicView[], partition: number | undefined): Reading['places'] {
  const places = views.flatMap(({ name, partitions }) =>
    partitions
      .filter((place) => partition === undefined || place.partition === partition)
      .map((place) => ({ ...place, topic: name })),
  )
  if (partition !== undefined && views.length > 0 && places.length === 0) {
    throw misuse(
      `There is no partition ${partition}.`,
      '--partition',
      `Use 0 to ${(views[0]?.partitions.length ?? 1) - 1}.`,
    )
  }
  return places
}

async function show(output: Output, record: ShownRecord): Promise<void> {
  const { topic, partition, offset, event } = record
  if (output.json) {
    const place = JSON.stringify({ topic, partition, offset })
    return output.print(`${place.slice(0, -1)},"event":${eventToJson(event)}}`)
  }
  const key = event.partitionkey ?? event.subject
  const place = output.style('dim', `${topic}/${partition}@${offset}`)
  const named = `${output.style('cyan', event.type)}${key === undefined ? '' : ` ${printable(key)}`}`
  await output.print(`${event.time}  ${place}  ${named}  ${shortened(event.data)}`)
}

const shownCharacters = 200

function shortened(data: unknown): string {
  if (data instanceof Uint8Array) return `(${data.length} bytes)`
  const text = printable(JSON.stringify(data) ?? '')
  return text.length <= shownCharacters ? text : `${text.slice(0, shownCharacters)}…`
}

/** Text of others must not be able to steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\uFFFD')
}

function parseFrom(text: string): From {
  if (text === 'start' || text === 'end') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  const time = new Date(text)
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime())) return time
  throw misuse(
    `'${text}' is no place to begin.`,
    '--from',
    'Give start, end, an offset, or a time such as 2026-01-31T08:00:00Z.',
  )
}
