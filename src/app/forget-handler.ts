import { countLeft, type Forgotten, type LeftBehind, removeLeft } from '../bus/forget.ts'
import { internalTopics, isInternalHandler } from '../bus/internal-topics.ts'
import { PartitionState } from '../bus/partition-state.ts'
import { MillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Claim, LogEngine, Membership, Offset } from '../log/port.ts'
import type { App } from './app.ts'

/** What {@link ForgetHandler} works with. */
export interface ForgetTools {
  readonly app: App
  readonly engine: LogEngine
  readonly runtime: Runtime
}

/** What a handler has left behind in one group of handlers. */
export interface LeftInGroup extends LeftBehind {
  readonly group: string
  /** In how many partitions there is something. */
  readonly partitions: number
}

/** A partition in which something was left behind. */
interface Part {
  readonly claim: Claim
  readonly state: PartitionState
  readonly needs: Record<string, Offset>
  readonly forgotten: Forgotten
  readonly left: LeftBehind
}

/**
 * Forgets a handler on a log that no process runs on: looks at what it has left behind, then drops that. Owns every
 * partition of every group while it is open.
 */
export class ForgetHandler implements AsyncDisposable {
  readonly #tools: ForgetTools
  readonly #handler: string
  readonly #memberships: Membership[] = []
  readonly #parts: Part[] = []
  readonly #states: PartitionState[] = []

  private constructor(tools: ForgetTools, handler: string) {
    this.#tools = tools
    this.#handler = handler
  }

  /**
   * Takes the log's partitions and looks. `HANDLER_UNKNOWN` for a name that has left nothing behind, `HANDLER_PRESENT` for a
   * handler that the application still has, `LOG_IN_USE` where another process owns partitions.
   */
  static async open(tools: ForgetTools, handler: string): Promise<ForgetHandler> {
    if (isInternalHandler(handler)) throw nothingToForget(tools.app, handler)
    const forgetting = new ForgetHandler(tools, handler)
    try {
      for (const group of await forgetting.#groups()) await forgetting.#look(group)
      if (forgetting.#parts.length === 0) throw nothingToForget(tools.app, handler)
      return forgetting
    } catch (error) {
      await forgetting[Symbol.asyncDispose]()
      throw error
    }
  }

  /** What there is, by group. */
  get left(): readonly LeftInGroup[] {
    const groups = new Map<string, LeftInGroup>()
    for (const { claim, left } of this.#parts) {
      const known = groups.get(claim.group)
      groups.set(claim.group, {
        group: claim.group,
        partitions: (known?.partitions ?? 0) + 1,
        records: (known?.records ?? 0) + left.records,
        parkedKeys: (known?.parkedKeys ?? 0) + left.parkedKeys,
        deadLetters: (known?.deadLetters ?? 0) + left.deadLetters,
        stateValues: (known?.stateValues ?? 0) + left.stateValues,
        remembered: (known?.remembered ?? 0) + left.remembered,
      })
    }
    return [...groups.values()]
  }

  /** Drops all of it; resolves once that is durable. One that is cut short can be repeated. */
  async drop(): Promise<void> {
    for (const { state, needs, forgotten } of this.#parts) {
      for (const topic of await topicsWithoutOthers(state, forgotten)) needs[topic] = Number.MAX_SAFE_INTEGER
      await removeLeft(state, forgotten)
      await state.flush()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const state of this.#states) state.abandon(new Error('the handler was forgotten'))
    for (const membership of this.#memberships) await membership.leave()
  }

  /** Every group has internal topics, whether the application still knows it or not. */
  async #groups(): Promise<readonly string[]> {
    const names = (await this.#tools.engine.listTopics()).map(({ name }) => name)
    return names.flatMap((name) => {
      const group = /^millrace\.(.+)\.redrives$/.exec(name)?.[1]
      return group === undefined ? [] : [group]
    })
  }

  async #look(group: string): Promise<void> {
    const { engine, runtime } = this.#tools
    const claims: Claim[] = []
    this.#memberships.push(await engine.join(group, { id: runtime.id() }, (claim) => claims.push(claim)))
    if (claims.length < engine.partitions) {
      throw new MillraceError('LOG_IN_USE', `Another process owns partitions of the group '${group}'.`, {
        where: `group '${group}'`,
        fix: 'Stop every process of the application first.',
      })
    }
    for (const claim of claims) await this.#lookAt(claim)
  }

  async #lookAt(claim: Claim): Promise<void> {
    const needs: Record<string, Offset> = {}
    const state = this.#stateOf(claim, needs)
    const { app, engine } = this.#tools
    const topics = new Set((await engine.listTopics()).map(({ name }) => name))
    const forgotten: Forgotten = {
      handler: this.#handler,
      stillReads: readsOf(app, this.#handler, claim.group),
      rekeyed: internalTopics(claim.group).rekeyed,
      endOf: async (topic) =>
        topics.has(topic) ? (await engine.bounds({ topic, partition: claim.partition })).end : 0,
    }
    const left = await countLeft(state, forgotten)
    if (left !== undefined) this.#parts.push({ claim, state, needs, forgotten, left })
  }

  #stateOf(claim: Claim, needs: Readonly<Record<string, Offset>>): PartitionState {
    const state = new PartitionState(claim, {
      parts: () => ({ puts: [], needs }),
      committed: () => {},
      failed: () => {},
    })
    this.#states.push(state)
    this.#tools.runtime.spawn(`commits of partition ${claim.partition}`, () => state.run())
    return state
  }
}

/** The topics that a handler of the application takes from in a group; undefined where it has none of that name. */
function readsOf(app: App, handler: string, group: string): readonly string[] | undefined {
  const definition = app.handlers.find(({ name }) => name === handler)
  if (definition === undefined || (definition.options.group ?? app.name) !== group) return undefined
  const { ticks, rekeyed } = internalTopics(group)
  return [...definition.events.map(({ topic }) => topic ?? app.name), ticks, rekeyed]
}

/** The topics that only the handler holds back: nothing of the group needs them when it is forgotten. */
async function topicsWithoutOthers(
  state: PartitionState,
  { handler, stillReads = [] }: Forgotten,
): Promise<readonly string[]> {
  const places = (await state.range('subscription/', 'subscription0', 10_000)).map(({ key }) =>
    key.split('/'),
  )
  const ofOthers = new Set(places.filter(([, name]) => name !== handler).map(([, , topic]) => topic))
  return places.flatMap(([, name, topic = '']) => {
    return name === handler && !stillReads.includes(topic) && !ofOthers.has(topic) ? [topic] : []
  })
}

/** A name that has left nothing behind: either of a handler that is still there, or of none. */
export function nothingToForget(app: App, handler: string): MillraceError {
  if (isInternalHandler(handler) || app.handlers.some(({ name }) => name === handler)) {
    return new MillraceError('HANDLER_PRESENT', `The application still has the handler '${handler}'.`, {
      where: `handler '${handler}'`,
      fix: 'Remove it from the application first, or leave it as it is.',
    })
  }
  return new MillraceError('HANDLER_UNKNOWN', `The log has nothing of a handler '${handler}'.`, {
    where: `handler '${handler}'`,
    fix: 'Check the name; what was forgotten already need not be forgotten again.',
  })
}
