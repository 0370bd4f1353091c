import { isInternalTopic } from '../bus/internal-topics.ts'
import type { PublishOptions } from '../bus/publisher.ts'
import { isMillraceError, messageOf } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import type { Offset, Place } from '../log/port.ts'
import { SeededRandom } from './random.ts'
import type { SimulatedProcess, World } from './simulated-process.ts'

/** An event that a simulation publishes. */
export interface Publication {
  readonly type: AnyEventType
  readonly data: unknown
  /** Options of `publish`; the simulation gives the id, and repeats it until it is acknowledged. */
  readonly options?: Omit<PublishOptions, 'id' | 'source' | 'signal' | 'at'>
}

/** Makes the next event to be published. Everything random in it must come from `random`. */
export type Workload = (random: SeededRandom) => Publication

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
    this.#untilAcknowledged(id, publication).then(
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
      await new Promise<void>((resolve) => {
        this.#world.time.after(this.#choice.between(1, retryMs), 'publisher', resolve)
      })
    }
  }

  /** Whether it was acknowledged. */
  async #tryOnce(id: string, publication: Publication, process: SimulatedProcess): Promise<boolean> {
    const { recorder, app } = this.#world
    const running = process.running
    if (running === undefined) return false
    const { type, data, options } = publication
    recorder.line(`publish '${id}' of ${type.type} at ${process.name}`)
    const answer = await Promise.race([
      running.publish(type as never, data as never, { ...options, id, source: app.name }).then(
        (published) => ({ published, error: undefined }),
        (error: unknown) => ({ published: this.#durable(id, error), error: messageOf(error) }),
      ),
      process.ended.then(() => ({ published: undefined, error: 'the process has ended' })),
    ])
    const { published, error } = answer
    if (error !== undefined) recorder.line(`publish '${id}' failed: ${error}`)
    if (published === undefined) return false
    const { topic, partition, offset } = published
    recorder.line(`acknowledged '${id}' at ${topic}/${partition} ${offset}`)
    const waited = options?.wait !== undefined && error === undefined
    const handled = waited ? { handledAt: recorder.log.length } : {}
    recorder.acknowledged.push({ topic, partition, offset, id, source: app.name, ...handled })
    return true
  }

  /** Where an event is whose publisher waited in vain for its handlers; undefined for any other error. */
  #durable(id: string, error: unknown): (Place & { readonly offset: Offset }) | undefined {
    if (isMillraceError(error, 'WAIT_TIMEOUT') || isMillraceError(error, 'ALREADY_PUBLISHED')) {
      return error.facts as unknown as Place & { readonly offset: Offset }
    }
    if (!isMillraceError(error, 'HANDLER_FAILED')) return undefined
    return this.#world.recorder.log.find(({ topic, event }) => event.id === id && !isInternalTopic(topic))
  }
}
