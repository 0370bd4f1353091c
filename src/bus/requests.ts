import { type AnyCommandType, type CommandOutcome, type CommandState, isCommand } from '../core/command.ts'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import { checkDuration, checkOptionNames, optionNames } from '../core/options.ts'
import type { Runtime } from '../core/runtime.ts'
import { type Deadline, within } from './deadline.ts'
import type { OwnerQueries } from './owner-queries.ts'
import type { ErrorRecord } from './parked-entry.ts'
import { defaultWaitTimeoutMs, type Published, type Publisher, type PublishOptions } from './publisher.ts'
import type { ResultAnswer } from './queries.ts'
import { type Decision, placeOfResult, resultIdOf, resultUnknown } from './results.ts'
import type { Waiter } from './waiting-publishers.ts'

/** Options of `submit`. A result is named by its place, which a command has only once it is in its topic: it cannot be delayed. */
export type SubmitOptions = Omit<PublishOptions, 'topic' | 'delay' | 'at' | 'wait' | 'waitTimeoutMs'>

/** Options of `request`. */
export interface RequestOptions extends SubmitOptions {
  /** How long to wait for the result; 30 s unless given. */
  readonly waitTimeoutMs?: number
}

const ofSubmit = {
  id: true,
  source: true,
  time: true,
  subject: true,
  datacontenttype: true,
  correlationid: true,
  traceparent: true,
  signal: true,
} as const
const submitNames = optionNames<SubmitOptions>(ofSubmit)
const requestNames = optionNames<RequestOptions>({ ...ofSubmit, waitTimeoutMs: true })

/** A command that is durable, and will be handled. */
export interface Submitted extends Published {
  /** What its result is fetched by: `TOPIC.PARTITION.OFFSET`. The same when the same id is submitted again. */
  readonly resultId: string
}

/** The handler of a command. */
export interface CommandHandler {
  readonly name: string
  readonly group: string
  readonly topic: string
}

/** What {@link Requests} works with. */
export interface RequestTools {
  readonly publisher: Publisher
  readonly runtime: Runtime
  readonly queries: OwnerQueries
  readonly partitions: number
  /** The handlers of the application's commands, by the command's type. */
  readonly handlers: ReadonlyMap<string, CommandHandler>
  /** Begins to wait for handlers. */
  begin(handlers: readonly string[]): Promise<Waiter>
}

/** How often a result is asked for that somebody else is told of, in milliseconds: at first, and at most. */
const askAgainMs = { first: 50, most: 2_000 } as const

/** Requests commands, and fetches their results from the owners of their partitions. */
export class Requests {
  readonly #tools: RequestTools

  constructor(tools: RequestTools) {
    this.#tools = tools
  }

  /** Publishes a command; resolves once it is durable. */
  async submit(command: AnyCommandType, data: unknown, options: SubmitOptions = {}): Promise<Submitted> {
    this.#handlerOf(command, 'submit')
    checkOptionNames('submit', options, submitNames)
    const published = await this.#tools.publisher.publish(command, data, options)
    return { ...published, resultId: resultIdOf(published) }
  }

  /** Publishes a command and waits for its result. */
  async request<C extends AnyCommandType>(
    command: C,
    data: unknown,
    options: RequestOptions = {},
  ): Promise<CommandOutcome<C>> {
    const handler = this.#handlerOf(command, 'request')
    checkOptionNames('request', options, requestNames)
    checkDuration('request', 'waitTimeoutMs', options.waitTimeoutMs, 0)
    const { publisher, runtime, begin } = this.#tools
    const timeoutMs = options.waitTimeoutMs ?? defaultWaitTimeoutMs
    const { signal } = options
    const waiter = await begin([handler.name])
    try {
      const published = await publisher.publishFor(waiter.address, command, data, options)
      const resultId = resultIdOf(published)
      const expired = () => waitTimeout(published, resultId, timeoutMs)
      const deadline = { runtime, timeoutMs, signal, expired }
      // The answer goes to whoever published it first.
      if (published.duplicate) return await this.#askUntilDecided(command, resultId, deadline)
      const decided = waiter.done.then(
        ([reply]) => reply?.value as CommandOutcome<C>,
        (error) => Promise.reject(withResultId(error, resultId)),
      )
      return await within(decided, deadline)
    } finally {
      waiter.end()
    }
  }

  /** How a command stands: its result, once it has one. */
  async fetch<C extends AnyCommandType>(command: C | undefined, id: string): Promise<CommandState<C>> {
    const place = typeof id === 'string' ? placeOfResult(id) : undefined
    if (place === undefined || place.partition >= this.#tools.partitions) throw resultUnknown(String(id))
    const { topic, partition, offset } = place
    const groups = new Set(
      [...this.#tools.handlers.values()].filter((other) => other.topic === topic).map(({ group }) => group),
    )
    for (const group of groups) {
      const query = { kind: 'result' as const, topic, offset }
      const answer = await this.#tools.queries.ask({ group, partition }, query)
      if (answer.status !== 'unknown') return stateOf(answer, command, id) as CommandState<C>
    }
    throw resultUnknown(id)
  }

  async #askUntilDecided<C extends AnyCommandType>(
    command: C,
    id: string,
    deadline: Deadline,
  ): Promise<CommandOutcome<C>> {
    const ended = new AbortController()
    return await within(this.#decided(command, id, ended.signal), deadline).finally(() => ended.abort())
  }

  async #decided<C extends AnyCommandType>(
    command: C,
    id: string,
    signal: AbortSignal,
  ): Promise<CommandOutcome<C>> {
    for (let waitMs: number = askAgainMs.first; ; waitMs = Math.min(2 * waitMs, askAgainMs.most)) {
      const state = await this.fetch(command, id).catch((error: unknown) => {
        // The partition may be changing hands; its next owner goes on.
        if (isMillraceError(error, 'OWNER_UNREACHABLE')) return { pending: true as const }
        throw error
      })
      if (!state.pending) {
        const { pending: _pending, ...outcome } = state
        return outcome as CommandOutcome<C>
      }
      await this.#tools.runtime.sleep(waitMs, signal)
    }
  }

  #handlerOf(command: AnyEventType, method: string): CommandHandler {
    if (typeof command?.type !== 'string' || !isCommand(command)) {
      throw new TypeError(`${method}: the first argument must be a command made by command()`)
    }
    const handler = this.#tools.handlers.get(command.type)
    if (handler !== undefined) return handler
    throw new MillraceError(
      'COMMAND_UNHANDLED',
      `No handler of this application answers '${command.type}'.`,
      {
        where: `command '${command.type}'`,
        fix: 'List its handler under `handlers` of the application.',
      },
    )
  }
}

function stateOf(
  answer: Exclude<ResultAnswer, { status: 'unknown' }>,
  command: AnyCommandType | undefined,
  id: string,
): { readonly pending: true } | ({ readonly pending: false } & Decision) {
  if (answer.status === 'pending') return { pending: true }
  const type = answer.status === 'stored' ? answer.stored.command : answer.command
  if (command !== undefined && command.type !== type) throw resultUnknown(id)
  if (answer.status === 'dead-lettered') throw gaveUp(answer.handler, answer.error, id)
  const { outcome } = answer.stored
  if ('ok' in outcome) return { pending: false, ...outcome }
  throw new MillraceError('HANDLER_FAILED', `The command was given up: ${outcome.discarded}`, {
    where: `result '${id}'`,
    fix: 'Its dead letter was discarded. Request it anew, under another id.',
    facts: { resultId: id, discarded: outcome.discarded },
  })
}

function gaveUp(handler: string, error: ErrorRecord, resultId: string): MillraceError {
  return new MillraceError('HANDLER_FAILED', `Handler '${handler}' gave up: ${error.message}`, {
    where: `handler '${handler}'`,
    fix: 'See the dead letters of the application for its attempts. Once one is redriven, the result can be fetched.',
    facts: { handler, error, resultId },
  })
}

function withResultId(error: unknown, resultId: string): unknown {
  if (!isMillraceError(error, 'HANDLER_FAILED')) return error
  const { handler, error: cause } = error.facts as { handler: string; error: ErrorRecord }
  return gaveUp(handler, cause, resultId)
}

function waitTimeout(published: Published, resultId: string, timeoutMs: number): MillraceError {
  return new MillraceError('WAIT_TIMEOUT', `The command was not handled within ${timeoutMs} ms.`, {
    where: `result '${resultId}'`,
    fix: 'It is durable and will be handled: fetch its result later, by `resultId` of `facts`.',
    facts: { ...published, resultId },
  })
}
