import type { Command } from 'commander'
import { parseCloudEvent } from '../../core/cloud-event.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { isXml } from '../../core/xml-text.ts'
import {
  type AccessOptions,
  type CommandContext,
  misuse,
  topicName,
  withAccess,
  withAccessOptions,
  withCommonOptions,
} from '../command.ts'
import { parseJsonInput, readInput } from '../json-input.ts'
import { loadApp } from '../load-app.ts'

interface PublishCommandOptions extends AccessOptions {
  readonly data: string
  readonly key?: string
  readonly id?: string
  readonly source: string
  readonly subject?: string
  readonly time?: string
  readonly contentType?: string
  readonly topic?: string
  readonly app?: string
  readonly createTopic?: boolean
}

/** Adds `millrace publish`. */
export function addPublish(program: Command, context: () => CommandContext): void {
  const command = program
    .command('publish')
    .description('publish one event and wait until it is durable')
    .argument('<type>', 'the event type, such as shop.order.placed')
    .requiredOption(
      '--data <json>',
      'its data: JSON, @FILE for JSON in a file, or - for JSON on standard input',
    )
    .option('--content-type <type>', 'the media type of the data; with that of XML, --data is XML, not JSON')
    .option('--key <key>', 'what order and state are kept by, where the event type does not say')
    .option('--id <id>', 'its id: publishing it again within the deduplication window adds nothing')
    .option('--source <source>', 'where it happened', 'millrace-cli')
    .option('--subject <subject>', 'what it is about')
    .option('--time <time>', 'when it happened (RFC 3339); now unless given')
    .option('--topic <topic>', "a topic other than the event type's", topicName)
    .option('--app <file>', 'the application whose schemas and keys hold, when the log is opened here')
    .option('--create-topic', 'create the topic when the log is opened here and has none of that name')
  withCommonOptions(withAccessOptions(command)).action(
    async (type: string, options: PublishCommandOptions) => await publish(type, options, context()),
  )
}

async function publish(type: string, options: PublishCommandOptions, context: CommandContext): Promise<void> {
  const { output } = context
  const event = eventFrom(type, await readData(options.data, parserFor(options), context), options, context)
  const { app } = options
  const loading = app === undefined ? {} : { loadApp: async () => (await loadApp(app)).app }
  await withAccess(context, { ...options, ...loading }, async (access) => {
    const [place] = await access.append([event], options.topic)
    if (place === undefined) throw new MillraceError('INTERNAL', 'The log gave no place for the event.')
    const { topic, partition, offset, duplicate = false } = place
    if (output.json) return output.printJson({ topic, partition, offset, duplicate, id: event.id })
    const was = duplicate ? 'was there already' : 'is durable'
    await output.print(`${type} ${event.id} ${was}: ${topic}, partition ${partition}, offset ${offset}`)
  })
}

type Parse = (bytes: Uint8Array, source: string) => unknown

/** XML is passed on as bytes: the door decodes it, by the encoding that it names. */
function parserFor({ contentType }: PublishCommandOptions): Parse {
  return isXml(contentType) ? (bytes) => new Uint8Array(bytes) : parseJsonInput
}

async function readData(data: string, parse: Parse, context: CommandContext): Promise<unknown> {
  if (data === '-') return parse(await readInput('-', context, ''), 'standard input')
  if (!data.startsWith('@')) return parse(Buffer.from(data), '--data')
  const file = data.slice(1)
  return parse(await readInput(file, context, 'Give the path of a file of JSON after @.'), file)
}

function eventFrom(
  type: string,
  data: unknown,
  options: PublishCommandOptions,
  { runtime }: CommandContext,
): Event {
  const fields = {
    specversion: '1.0',
    id: options.id ?? runtime.id(),
    source: options.source,
    type,
    time: options.time ?? new Date(runtime.now()).toISOString(),
    subject: options.subject,
    partitionkey: options.key,
    datacontenttype: options.contentType,
    data,
  }
  try {
    return parseCloudEvent(fields, '') as Event
  } catch (error) {
    throw optionError(error)
  }
}

const optionsOf: Readonly<Record<string, string>> = {
  partitionkey: '--key',
  datacontenttype: '--content-type',
  type: '<type>',
}

/** The refusal of an attribute names the option that gave it; an attribute of the wrong form is misuse. */
function optionError(error: unknown): unknown {
  if (!(error instanceof MillraceError)) return error
  const { code, message, where = 'event', fix = 'Correct it.' } = error
  const option = optionsOf[where] ?? `--${where}`
  if (code === 'EVENT_INVALID') return misuse(message, option, fix)
  return new MillraceError(code, message, { where: option, fix, cause: error })
}
