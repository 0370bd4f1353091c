import type { Command } from 'commander'
import type { HandlerStatus, HandlersOverview } from '../../bus/status.ts'
import type { LogAccess, TopicView } from '../access/port.ts'
import {
  type AccessOptions,
  type CommandContext,
  withAccess,
  withAccessOptions,
  withCommonOptions,
} from '../command.ts'
import { type Output, table } from '../output.ts'

/** Adds `millrace inspect`. */
export function addInspect(program: Command, context: () => CommandContext): void {
  const command = program
    .command('inspect')
    .description('show the topics, their partitions and, where an application runs, its handlers')
    .option('--partitions', 'a row for each partition')
  withCommonOptions(withAccessOptions(command)).action(
    async (options: AccessOptions & { readonly partitions?: boolean }) => {
      const given = context()
      await withAccess(given, options, (access) => inspect(given.output, access, options.partitions === true))
    },
  )
}

async function inspect(output: Output, access: LogAccess, eachPartition: boolean): Promise<void> {
  const { location, running } = access
  const topics = await access.topics()
  const overview = await access.handlers()
  if (output.json) {
    const { handlers = [], processes = [], unanswered = [] } = overview ?? {}
    return output.printJson({ location, running, topics, handlers, processes, unanswered })
  }
  const state = running ? 'an application is running' : 'opened here; --url names a running application'
  await output.print(`${location} (${state})`)
  await output.print('')
  const rows = eachPartition ? partitionRows(topics) : topicRows(topics)
  await printTable(output, topics.length === 0 ? [['No topics yet.']] : rows)
  if (overview === undefined) return
  const { handlers, processes, unanswered } = overview
  await output.print('')
  await printTable(output, handlers.length === 0 ? [['No handlers.']] : handlerRows(handlers))
  if (unanswered.length > 0) {
    const partitions = unanswered.map(({ group, partition }) => `${group}/${partition}`).join(', ')
    output.warning(`Nobody answers for some partitions, which are missing above: ${partitions}`)
  }
  if (new Set(processes.map(({ process }) => process)).size < 2) return
  await output.print('')
  await printTable(output, processRows(overview))
}

type Rows = readonly (readonly (string | number)[])[]

async function printTable(output: Output, rows: Rows): Promise<void> {
  for (const [index, line] of table(rows).entries()) {
    await output.print(index === 0 ? output.style('bold', line) : line)
  }
}

function topicRows(topics: readonly TopicView[]): Rows {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
  return [
    ['topic', 'partitions', 'offsets', 'bytes'],
    ...topics.map(({ name, partitions }) => [
      name,
      partitions.length,
      sum(partitions.map(({ start, end }) => end - start)),
      sum(partitions.map(({ bytes }) => bytes)),
    ]),
  ]
}

function partitionRows(topics: readonly TopicView[]): Rows {
  return [
    ['topic', 'partition', 'start', 'end', 'bytes'],
    ...topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partition, start, end, bytes }) => [name, partition, start, end, bytes]),
    ),
  ]
}

function handlerRows(handlers: readonly HandlerStatus[]): Rows {
  return [
    ['handler', 'lag', 'in flight', 'handled', 'failures', 'dead letters', 'parked keys', 'state'],
    ...handlers.map((handler) => [
      handler.name,
      handler.lag,
      handler.inFlight,
      handler.counts.handled,
      handler.counts.failures,
      handler.counts.deadLettered,
      handler.parked.keys,
      stateOf(handler),
    ]),
  ]
}

function processRows({ process, processes }: HandlersOverview): Rows {
  return [
    ['process', 'group', 'partitions'],
    ...processes.map((part) => [
      part.process === process ? `${part.process} (asked)` : part.process,
      part.group,
      part.partitions.join(' ') || 'none',
    ]),
  ]
}

function stateOf(handler: HandlerStatus): string {
  if (handler.stuck.length > 0) return `stuck: ${handler.stuck.join(', ')}`
  if (handler.paused) return 'paused'
  return handler.lag > 0 ? 'working' : 'up to date'
}
