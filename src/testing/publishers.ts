import type { RunningApp } from '../app/running.ts'
import { isInternalTopic } from '../bus/internal-topics.ts'
import type { Published, PublishOptions } from '../bus/publisher.ts'
import { resultIdOf } from '../bus/results.ts'
import { isCommand } from '../core/command.ts'
import { isMillraceError, messageOf } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import type { ExpectedVersion } from '../eventstore/append-request.ts'
import type { NewStreamEvent, StreamDefinition } from '../eventstore/stream.ts'
import type { AppendOptions } from '../eventstore/streams.ts'
import type { Offset, Place } from '../log/port.ts'
import type { CommandDecision, ToldAppend, ToldResult } from './history.ts'
import { SeededRandom } from './random.ts'
import type { SimulatedProcess, World } from './simulated-process.ts'

/** An event that a simulation publishes. */
export interface Publication {
  readonly type: AnyEventType
  readonly data: unknown
  /** Options of `publish`; the simulation gives the id, and repeats it until it is acknowledged. */
  readonly options?: Omit<PublishOptions, 'id' | 'source' | 'signal' | 'at'>
  /** For a command: `request` waits for its result, `submit` fetches it later, from any process. */
  readonly command?: 'request' | 'submit'
}

/** Events that a simulation appends to a stream, as somebody decides who reads something first. */
export interface StreamPublication {
  readonly stream: StreamDefinition
  readonly id: string
  /**
   * What is to be appended, by what the running application is asked for; decided anew after each conflict. Nothing is
   * where this gives undefined. The simulation gives the append its id, and repeats it until it is answered.
   */
  decide(running: RunningApp): Promise<StreamDecision | undefined>
}

/** What somebody has decided to append. */
export interface StreamDecision {
  readonly events: readonly { readonly type: AnyEventType; readonly data: unknown }[]
  readonly expectedVersion: ExpectedVersion
}

/** Makes what is published or appended next. Everything random in it must come from `random`. */
export type Workload = (random: SeededRandom) => Publication | StreamPublication

const retryMs = 2_000

/** Publishers outside the processes: each publishes an event through any of them until one acknowledges it. */
export class Publishers {
  readonly #world: World
  readonly #workload: Workload
  readonly #processes: readonly SimulatedProcess[]
  readonly #data: SeededRandom
  readonly #choice: SeededRandom
  #published = 0
  #open = 0

  constructor(world: World, workload: Workload, processes: readonly SimulatedProcess[]) {
    this.#world = world
    this.#workload = workload
    this.#processes = processes
    this.#data = new SeededRandom(world.seed, 'published data')
    this.#choice = new SeededRandom(world.seed, 'publishing process')
  }

  /** How many events were published, acknowledged or not. */
  get published(): number {
    return this.#published
  }

  /** How many of them are not acknowledged yet. */
  get open(): number {
    return this.#open
  }

  /** Publishes one more event, in the background. */
  publishNext(): void {
    const id = `e${this.#published}`
    this.#published += 1
    const publication = this.#workload(this.#data)
    this.#open += 1
    const done =
      'stream' in publication
        ? this.#untilAppended(id, publication)
        : this.#untilAcknowledged(id, publication)
    done.then(
      () => {
        this.#open -= 1
      },
      (error: unknown) => this.#world.recorder.problem(`publisher of '${id}' failed: ${messageOf(error)}`),
    )
  }

  async #untilAcknowledged(id: string, publication: Publication): Promise<void> {
    for (;;) {
      const running = this.#processes.filter((process) => process.running !== undefined)
      if (running.length > 0 && (await this.#tryOnce(id, publication, this.#choice.pick(running)))) return
      await this.#pause()
    }
  }

  /** Whether it was acknowledged, and its result is known where that is fetched. */
  async #tryOnce(id: string, publication: Publication, process: SimulatedProcess): Promise<boolean> {
    const { recorder, app } = this.#world
    const running = process.running
    if (running === undefined) return false
    const { type, options } = publication
    recorder.line(`publish '${id}' of ${type.type} at ${process.name}`)
    const answer = await Promise.race([
      publishAt(running, publication, { id, source: app.name }).then(
        (answered) => ({ ...answered, error: undefined }),
        (error: unknown) => ({ error }),
      ),
      process.ended.then(() => ({ error: new Error('the process has ended') })),
    ])
    const { error } = answer
    if (error !== undefined) recorder.line(`publish '${id}' failed: ${messageOf(error)}`)
    const decision = 'decision' in answer ? answer.decision : undefined
    const told = isMillraceError(error, 'HANDLER_FAILED') ? 'given up' : decision
    const published = 'published' in answer ? answer.published : undefined
    const at = published ?? this.#durable(id, error, decision !== undefined)
    if (at === undefined) return false
    const { topic, partition, offset } = at
    recorder.line(`acknowledged '${id}' at ${topic}/${partition} ${offset}`)
    const waited = decision !== undefined || (options?.wait !== undefined && error === undefined)
    const handled = waited ? { handledAt: recorder.log.length } : {}
    recorder.acknowledged.push({ topic, partition, offset, id, source: app.name, ...handled })
    if (told !== undefined && isCommand(type)) recorder.told({ id, source: app.name }, told, false)
    else if (publication.command === 'submit') await this.#fetch(id, resultIdOf(at))
    return true
  }

  /** Asks one process after another for a result, until one of them tells it. */
  async #fetch(id: string, resultId: string): Promise<void> {
    const { recorder, app } = this.#world
    for (; ; await this.#pause()) {
      const running = this.#processes.filter((process) => process.running !== undefined)
      if (running.length === 0) continue
      const process = this.#choice.pick(running)
      recorder.line(`fetch '${resultId}' at ${process.name}`)
      const told = await Promise.race([
        toldOf(process.running as RunningApp, resultId).catch((error: unknown) => {
          recorder.line(`fetch '${resultId}' failed: ${messageOf(error)}`)
          return 'pending' as const
        }),
        process.ended.then(() => 'pending' as const),
      ])
      if (told === 'pending') continue
      recorder.told({ id, source: app.name }, told, false)
      return
    }
  }

  async #untilAppended(name: string, { stream, id, decide }: StreamPublication): Promise<void> {
    const { recorder, app } = this.#world
    for (let conflicts = 0; ; conflicts += 1) {
      const append = `${name}-${conflicts}`
      const decision = await this.#insist(`decide '${append}'`, decide)
      if (decision === undefined) return
      const { events, expectedVersion } = decision
      const told = await this.#insist(`append '${append}' to ${stream.name} '${id}'`, (running) =>
        appendAt(running, { stream, id, events, options: { id: append, source: app.name, expectedVersion } }),
      )
      const count = events.length
      recorder.appendTold({ stream: stream.name, id, append, expectedVersion, count, told })
      if (!('conflict' in told)) return
      await this.#pause()
    }
  }

  /** What one process after another is asked for, until one of them gives it. */
  async #insist<T>(what: string, ask: (running: RunningApp) => Promise<T>): Promise<T> {
    const { recorder } = this.#world
    for (; ; await this.#pause()) {
      const running = this.#processes.filter((process) => process.running !== undefined)
      if (running.length === 0) continue
      const process = this.#choice.pick(running)
      recorder.line(`${what} at ${process.name}`)
      const ended = process.ended.then(() => Promise.reject(new Error('the process has ended')))
      try {
        return await Promise.race([ask(process.running as RunningApp), ended])
      } catch (error) {
        recorder.line(`${what} failed: ${messageOf(error)}`)
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#world.time.after(this.#choice.between(1, retryMs), 'publisher', resolve)
    })
  }

  /** Where an event is whose publisher waited in vain for its handlers, or was told no place; undefined for other errors. */
  #durable(
    id: string,
    error: unknown,
    isDecided: boolean,
  ): (Place & { readonly offset: Offset }) | undefined {
    if (isMillraceError(error, 'WAIT_TIMEOUT') || isMillraceError(error, 'ALREADY_PUBLISHED')) {
      return error.facts as unknown as Place & { readonly offset: Offset }
    }
    if (!isMillraceError(error, 'HANDLER_FAILED') && !isDecided) return undefined
    return this.#world.recorder.log.find(({ topic, event }) => event.id === id && !isInternalTopic(topic))
  }
}

interface Answered {
  readonly published?: Published
  readonly decision?: CommandDecision
}

async function publishAt(
  running: RunningApp,
  { type, data, options, command }: Publication,
  name: { readonly id: string; readonly source: string },
): Promise<Answered> {
  const given = { ...options, ...name }
  if (command === 'request')
    return { decision: (await running.request(type as never, data as never, given)) as CommandDecision }
  if (command === 'submit') return { published: await running.submit(type as never, data as never, given) }
  return { published: await running.publish(type as never, data as never, given) }
}

/** An append on its way to a process. */
export interface Append extends Pick<StreamPublication, 'stream' | 'id'>, Pick<StreamDecision, 'events'> {
  readonly options: AppendOptions
}

/** How an append is answered, a conflict being an answer. Rejects like `append` otherwise. */
export async function appendAt(
  running: RunningApp,
  { stream, id, events, options }: Append,
): Promise<Exclude<ToldAppend['told'], 'nothing'>> {
  try {
    return await running.append(stream, id, events as readonly NewStreamEvent[], options)
  } catch (error) {
    if (!isMillraceError(error, 'VERSION_CONFLICT')) throw error
    return { conflict: (error.facts as { readonly version: number }).version }
  }
}

/** What a process tells of a result. */
export async function toldOf(running: RunningApp, resultId: string): Promise<ToldResult['told']> {
  try {
    const state = await running.result(resultId)
    if (state.pending) return 'pending'
    return state.ok ? { ok: true, result: state.result } : { ok: false, failure: state.failure }
  } catch (error) {
    if (isMillraceError(error, 'HANDLER_FAILED')) return 'given up'
    if (isMillraceError(error, 'RESULT_UNKNOWN')) return 'unknown'
    throw error
  }
}
