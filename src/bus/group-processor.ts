import { isMillraceError } from '../core/errors.ts'
import type { Claim, Membership, Offset, Place } from '../log/port.ts'
import { Backoff } from './backoff.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { GroupTools } from './group-tools.ts'
import { handlerStatus } from './handler-status.ts'
import { PartitionProcessor } from './partition-processor.ts'
import type { QueriedPartition } from './queried-partition.ts'
import type { GroupStatus, HandlerStatus } from './status.ts'
import { Wake } from './wake.ts'

/** A group's part in this process: one partition processor for every claim that it holds. */
export class GroupProcessor {
  readonly #tools: GroupTools
  readonly #memberId: string
  readonly #processors = new Map<number, PartitionProcessor>()
  /** Those whose first commit is durable. */
  readonly #atWork = new WeakSet<PartitionProcessor>()
  readonly #stop = new AbortController()
  readonly #idle = new Wake()
  #membership: Membership | undefined
  #setups: Promise<void>[] = []
  /** Until they settle, it is not known whether the handlers fit what is in the partitions that were claimed. */
  #checks: Promise<unknown>[] = []
  readonly #begun = Promise.withResolvers<void>()
  readonly #backoff = new Backoff()
  /** Claims that are not at work yet: those whose partition has just failed wait. */
  #waiting = 0
  #rejoining = false
  #failedAgain = false
  #rejoined: Promise<void> = Promise.resolve()

  constructor(tools: GroupTools, memberId: string) {
    this.#tools = tools
    this.#memberId = memberId
    // Where it stops before it has begun, nobody may wait for that.
    this.#begun.promise.catch(() => {})
  }

  /**
   * Joins the group. Resolves once it is known that the handlers fit what is in every partition that could be had at once;
   * rejects when they do not. Nothing is changed by either, and no handler runs before {@link start}.
   */
  async join(): Promise<void> {
    await this.#join()
    await allOf(this.#checks.splice(0))
  }

  /** Begins. Resolves once every claim that could be had at once is at work, rejects when one cannot be. */
  async start(): Promise<void> {
    this.#begun.resolve()
    await allOf(this.#setups.splice(0))
  }

  /** What queries about a partition are answered from, once it is at work here. */
  queried(partition: number): QueriedPartition | undefined {
    const processor = this.#processors.get(partition)
    return processor !== undefined && this.#atWork.has(processor) ? processor.queried : undefined
  }

  /**
   * Whether the engine knows what the group needs of a place: it reads none of the topic, or its partition is at work here.
   */
  hasToldNeedsOf({ topic, partition }: Place): boolean {
    const reads = this.#tools.handlers.some((definition) => this.#tools.topicsOf(definition).includes(topic))
    const processor = this.#processors.get(partition)
    return !reads || (processor !== undefined && this.#atWork.has(processor))
  }

  /** Wakes a drain that waits for attempts to end. */
  progressed(): void {
    this.#idle.notify()
  }

  /** Whether everything up to the given ends is settled in every partition that is owned here. */
  isSettled(endsOf: (partition: number) => ReadonlyMap<string, Offset>): boolean {
    if (this.#rejoining || this.#waiting > 0 || this.#membership?.renewal !== undefined) return false
    return [...this.#processors].every(([partition, processor]) => processor.isSettled(endsOf(partition)))
  }

  /** The partitions owned here, each with the topics that are read. */
  get owned(): ReadonlyMap<number, readonly string[]> {
    return new Map([...this.#processors].map(([partition, processor]) => [partition, processor.topics]))
  }

  /** Whether every partition of the log is at work here. One that has only been claimed has not been looked into yet. */
  get isWhollyAtWork(): boolean {
    return this.#processorsAtWork().size === this.#tools.engine.partitions
  }

  /** Lets running handlers finish, or aborts them when `deadline` aborts, commits and gives up its claims. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stop.abort()
    this.#begun.reject(new Error('the process stops'))
    await this.#rejoined
    const processors = [...this.#processors.values()]
    const expire = () => {
      for (const processor of processors) processor.abortAttempts()
      this.#idle.notify()
    }
    deadline.addEventListener('abort', expire, { once: true })
    if (deadline.aborted) expire()
    for (const processor of processors) processor.stopTaking()
    while (!deadline.aborted && processors.some(({ inFlight }) => inFlight > 0)) await this.#idle.wait()
    await Promise.all(processors.map((processor) => processor.finish()))
    await this.#membership?.leave()
  }

  /** What a handler of the group is doing here. */
  status(definition: HandlerDefinition): Promise<HandlerStatus> {
    const { engine, group, topicsOf, counts } = this.#tools
    return handlerStatus(definition, {
      ...{ engine, group, processors: this.#processorsAtWork() },
      topics: topicsOf(definition),
      counts: counts.get(definition.name),
    })
  }

  /** What all handlers of the group are doing here. */
  async groupStatus(): Promise<GroupStatus> {
    const { handlers, rules, actsOnRules } = this.#tools
    const definitions = actsOnRules ? [...handlers, ...rules.definitions] : handlers
    return {
      process: this.#memberId,
      partitions: [...this.#processorsAtWork().keys()].sort((a, b) => a - b),
      handlers: await Promise.all(definitions.map((definition) => this.status(definition))),
    }
  }

  /** Of one that is still being set up nothing is known, not even how far behind it is. */
  #processorsAtWork(): ReadonlyMap<number, PartitionProcessor> {
    return new Map([...this.#processors].filter(([, processor]) => this.#atWork.has(processor)))
  }

  async #join(): Promise<void> {
    this.#membership = await this.#tools.engine.join(this.#tools.group, { id: this.#memberId }, (claim) => {
      const checked = Promise.withResolvers<void>()
      const setup = this.#claimed(claim, checked.resolve)
      // A failed set-up is met by start(), or rejoins; until then it must not count as unhandled.
      setup.catch(() => {})
      this.#setups.push(setup)
      const check = Promise.race([checked.promise, setup])
      check.catch(() => {})
      this.#checks.push(check)
    })
    this.#followRenewal()
  }

  async #claimed(claim: Claim, checked: () => void): Promise<void> {
    this.#waiting += 1
    const mayTake = await this.#mayTake(claim)
    this.#waiting -= 1
    if (!mayTake || this.#hasNewer(claim)) return this.#tools.progressed()
    const processor = new PartitionProcessor(claim, this.#tools, {
      failed: (error) => this.#failed(claim, error),
      groupStatus: () => this.groupStatus(),
    })
    this.#processors.set(claim.partition, processor)
    claim.signal.addEventListener('abort', () => this.#forget(claim.partition, processor), { once: true })
    try {
      await processor.start(() => {
        checked()
        return this.#begun.promise
      })
      this.#atWork.add(processor)
    } catch (error) {
      // Partitions change hands while others start and stop too: this one is its next owner's concern.
      if (!isMillraceError(error, 'NOT_OWNER')) throw error
    }
  }

  /** Waits where the partition has failed lately: what made it fail may still be there. Whether to take it then. */
  async #mayTake(claim: Claim): Promise<boolean> {
    const { runtime } = this.#tools
    const delayMs = this.#backoff.delayMs(claim.partition, runtime.now())
    // A claim that is lost meanwhile ends the wait.
    if (delayMs > 0) await runtime.sleep(delayMs, claim.signal).catch(() => {})
    return !this.#stop.signal.aborted && !claim.signal.aborted
  }

  /** Engines may tell of a claim only after the one that has replaced it. */
  #hasNewer({ partition, epoch }: Claim): boolean {
    return (this.#processors.get(partition)?.claim.epoch ?? 0) > epoch
  }

  #forget(partition: number, processor: PartitionProcessor): void {
    if (this.#processors.get(partition) === processor) this.#processors.delete(partition)
    this.#followRenewal()
    this.#tools.progressed()
  }

  /** Nothing is settled while partitions are being given anew, so that it is over must be told. */
  #followRenewal(): void {
    const renewal = this.#membership?.renewal
    if (renewal === undefined) return
    this.#tools.runtime.spawn('claims given anew', () => renewal.then(() => this.#tools.progressed()))
  }

  /**
   * A partition's work has failed. A claim that ended with it is given anew by the engine, to this process or another; one
   * that did not is of no use any more, so all of them are given up and taken anew.
   */
  #failed(claim: Claim, error: unknown): void {
    const { logger, runtime, group } = this.#tools
    if (this.#stop.signal.aborted) return
    const { partition } = claim
    if (hasMoved(error)) logger.debug({ err: error, group, partition }, 'a partition has another owner')
    else {
      this.#backoff.failed(partition, runtime.now())
      logger.warn({ err: error, group, partition }, 'a partition failed and is taken anew')
    }
    if (claim.signal.aborted || this.#membership === undefined) return
    this.#failedAgain = true
    if (this.#rejoining) return
    this.#rejoining = true
    runtime.spawn(`rejoin of ${group}`, () => {
      this.#rejoined = this.#rejoin(claim.partition)
      return this.#rejoined
    })
  }

  async #rejoin(partition: number): Promise<void> {
    const { runtime, logger, group } = this.#tools
    while (this.#failedAgain && !this.#stop.signal.aborted) {
      this.#failedAgain = false
      try {
        await runtime.sleep(this.#backoff.delayMs(partition, runtime.now()), this.#stop.signal)
        await this.#membership?.leave()
        if (this.#stop.signal.aborted) return
        this.#setups = []
        this.#checks = []
        await this.#join()
      } catch (error) {
        if (isMillraceError(error, 'LOG_CLOSED') || this.#stop.signal.aborted) return
        this.#backoff.failed(partition, runtime.now())
        this.#failedAgain = true
        logger.error({ err: error, group }, 'the claims of the group cannot be taken anew yet')
      }
    }
    this.#rejoining = false
    this.#tools.progressed()
  }
}

/** Whether a claim is over only because others have its partition, as when processes come and go: nothing has failed. */
function hasMoved(error: unknown): boolean {
  return isMillraceError(error, 'NOT_OWNER') && (error.cause === undefined || hasMoved(error.cause))
}

/** Resolves once all of them have; rejects as the first of them that rejects, once all have settled. */
async function allOf(promises: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(promises)
  const failed = settled.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
  if (failed !== undefined) throw failed.reason
}
