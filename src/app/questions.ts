import {
  commandOf,
  type HandlerDefinition,
  type StateSchemas,
  type StateSnapshot,
} from '../bus/definitions.ts'
import type { Door } from '../bus/door.ts'
import type { GroupProcessor } from '../bus/group-processor.ts'
import { handlersOverview } from '../bus/handlers-overview.ts'
import { OwnerQueries } from '../bus/owner-queries.ts'
import type { Publisher } from '../bus/publisher.ts'
import { type CommandHandler, Requests } from '../bus/requests.ts'
import { defaultOf } from '../bus/state-cells.ts'
import type { HandlersOverview } from '../bus/status.ts'
import type { WaitingPublishers } from '../bus/waiting-publishers.ts'
import { MillraceError } from '../core/errors.ts'
import { checkKey } from '../core/event.ts'
import type { Runtime } from '../core/runtime.ts'
import type { AppendCommand } from '../eventstore/append-request.ts'
import type { StreamDefinition } from '../eventstore/stream.ts'
import { Streams } from '../eventstore/streams.ts'
import { partitionOf } from '../log/partition.ts'
import type { LogEngine } from '../log/port.ts'
import type { App } from './app.ts'

/** What {@link Questions} works with. */
export interface QuestionTools {
  readonly app: App
  /** The application's handlers, and those that it has for its streams. */
  readonly definitions: readonly HandlerDefinition[]
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly publisher: Publisher
  readonly waiting: WaitingPublishers
  readonly groups: ReadonlyMap<string, GroupProcessor>
  readonly door: Door
  /** What is asked of the owner of each stream. */
  readonly appends: ReadonlyMap<StreamDefinition, AppendCommand>
}

/** What a running application is asked, wherever the answer is: the state of its handlers, and its commands. */
export class Questions {
  /** Asks the owners of partitions. */
  readonly queries: OwnerQueries
  readonly requests: Requests
  readonly streams: Streams
  readonly #app: App
  readonly #partitions: number
  readonly #groups: QuestionTools['groups']

  constructor(tools: QuestionTools) {
    const { app, engine, runtime, publisher, waiting, groups, door } = tools
    this.#app = app
    this.#partitions = engine.partitions
    this.#groups = groups
    const begin = (handlers: readonly string[]) => waiting.begin(handlers)
    this.queries = new OwnerQueries({
      engine,
      runtime,
      begin,
      source: app.name,
      local: (group, partition) => groups.get(group)?.queried(partition),
    })
    this.requests = new Requests({
      publisher,
      runtime,
      begin,
      queries: this.queries,
      partitions: engine.partitions,
      handlers: commandHandlers(tools),
    })
    const { requests, queries } = this
    const { partitions } = engine
    this.streams = new Streams({
      commands: tools.appends,
      app: app.name,
      partitions,
      door,
      requests,
      queries,
    })
  }

  /** What every handler is doing in all processes; `process` names this one. */
  async overview(process: string): Promise<HandlersOverview> {
    const groups = [...this.#groups].map(async ([group, processor]) => {
      return { group, here: await processor.groupStatus() }
    })
    const { queries } = this
    const partitions = this.#partitions
    return handlersOverview({ queries, partitions, process, groups: await Promise.all(groups) })
  }

  /** The state that a handler keeps for a key, from whoever owns it. */
  async read<States extends StateSchemas>(
    handler: HandlerDefinition<States>,
    key: string,
  ): Promise<StateSnapshot<States>> {
    checkKey(key, 'key')
    const known = this.#app.handlers.find(({ name }) => name === handler?.name)
    if (known === undefined) {
      throw new MillraceError(
        'HANDLER_UNKNOWN',
        `This application has no handler '${String(handler?.name)}'.`,
        { where: 'handler', fix: 'Pass a handler that the application lists under `handlers`.' },
      )
    }
    const schemas = Object.entries(handler.options.state ?? {})
    const group = known.options.group ?? this.#app.name
    const texts = await this.queries.ask(
      { group, partition: partitionOf(key, this.#partitions) },
      { kind: 'cells', handler: handler.name, key, cells: schemas.map(([cell]) => cell) },
    )
    const values = await Promise.all(
      schemas.map(async ([cell, schema], index) => {
        const text = texts[index] ?? undefined
        return [cell, text === undefined ? await defaultOf(schema) : JSON.parse(text)]
      }),
    )
    return Object.fromEntries(values) as StateSnapshot<States>
  }
}

function commandHandlers({ app, definitions, door }: QuestionTools): ReadonlyMap<string, CommandHandler> {
  const handlers = new Map<string, CommandHandler>()
  for (const definition of definitions) {
    const command = commandOf(definition)
    if (command === undefined) continue
    const group = definition.options.group ?? app.name
    handlers.set(command.type, { name: definition.name, group, topic: door.topicOf(command) })
  }
  return handlers
}
