import { endOfPrefix } from '../../src/bus/state-layout.ts'
import type {
  Appended,
  Claim,
  ClaimListener,
  LogEngine,
  Member,
  Membership,
  Offset,
} from '../../src/log/port.ts'
import { witnessTopic } from '../../src/testing/witness.ts'
import type { Journal, RecordPlace } from './journal.ts'

const decoder = new TextDecoder()
const everything = 100_000

/** An engine whose acknowledgements are written down in the order in which they come. */
export class JournaledEngine {
  readonly engine: LogEngine
  readonly #journal: Journal
  readonly #handled: (partitions: readonly number[]) => void
  readonly #claims = new Map<string, Claim>()
  readonly #counts = new Map<number, number>()

  /** `handled` is told of each commit in which events are handled, with the partitions of their keys. */
  constructor(
    engine: LogEngine,
    journal: Journal,
    handled: (partitions: readonly number[]) => void = () => {},
  ) {
    this.#journal = journal
    this.#handled = handled
    const overridden: Partial<LogEngine> = {
      append: (entries, signal) => engine.append(entries, signal).then((answer) => this.#write(answer)),
      join: (group, member, listener) => this.#join(engine, group, member, listener),
    }
    this.engine = new Proxy(engine, {
      get(target, name) {
        const own: unknown = Reflect.get(overridden, name)
        if (own !== undefined) return own
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  }

  /** How many claims there have been on a partition. */
  claimsOn(partition: number): number {
    return this.#counts.get(partition) ?? 0
  }

  /** How many timers are set, over all claims; undefined while one is lost and not given anew yet. */
  async timers(): Promise<number | undefined> {
    let timers = 0
    for (const claim of this.#claims.values()) {
      if (claim.signal.aborted) return undefined
      timers += (await rowsOf(claim, 'timer/')).length
    }
    return timers
  }

  #write(appended: readonly Appended[]): readonly Appended[] {
    const places: RecordPlace[] = []
    for (const { duplicate, topic, partition, offset } of appended) {
      if (!duplicate) places.push({ topic, partition, offset })
    }
    if (places.length > 0) this.#journal.write({ appended: places })
    const handled = places.filter(({ topic }) => topic === witnessTopic)
    if (handled.length > 0) this.#handled([...new Set(handled.map(({ partition }) => partition))])
    return appended
  }

  #join(engine: LogEngine, group: string, member: Member, listener: ClaimListener): Promise<Membership> {
    return engine.join(group, member, (claim) => {
      this.#counts.set(claim.partition, (this.#counts.get(claim.partition) ?? 0) + 1)
      this.#claims.set(`${group}/${claim.partition}`, claim)
      this.#announce(engine, claim, listener)
    })
  }

  /**
   * Writes down that a publisher was told that its event is handled. Another process may have handled it, and not have come to
   * writing that down, so what is there by now is looked up.
   */
  async writeHandled(id: string): Promise<void> {
    const visible = await endsOf(this.engine, { topics: [witnessTopic] })
    this.#journal.write({ visible })
    this.#journal.write({ handled: id })
  }

  /**
   * Looks at what is committed before the claim can change it, and at what is there of its partition: all that earlier owners
   * have done, whether they came to writing it down or not. A claim that is lost meanwhile is told of as it is.
   */
  #announce(engine: LogEngine, claim: Claim, listener: ClaimListener): void {
    const { group, partition, epoch, signal } = claim
    const watched: Claim = {
      group,
      partition,
      epoch,
      signal,
      get: (keys) => claim.get(keys),
      range: (query) => claim.range(query),
      commit: (change) => claim.commit(change).then((answer) => this.#write(answer)),
    }
    this.#look(engine, claim)
      .catch(() => undefined)
      .finally(() => listener(watched))
  }

  async #look(engine: LogEngine, claim: Claim): Promise<void> {
    const { partition } = claim
    const rows = await Promise.all([rowsOf(claim, 'subscription/'), rowsOf(claim, 'parked/')])
    this.#journal.write({ visible: await endsOf(engine, { partitions: [partition] }) })
    this.#journal.write({ claimed: { partition, rows: rows.flat() } })
  }
}

/** The rows of a claim's state that begin with a prefix. */
export async function rowsOf(claim: Claim, prefix: string): Promise<[string, string][]> {
  const rows = await claim.range({ from: prefix, to: endOfPrefix(prefix), limit: everything })
  return rows.map(({ key, value }) => [key, decoder.decode(value)])
}

/** Where places end, by `topic/partition`: all of them, or those of some topics or partitions. */
export async function endsOf(
  engine: LogEngine,
  of: { readonly topics?: readonly string[]; readonly partitions?: readonly number[] } = {},
): Promise<Record<string, Offset>> {
  const topics = of.topics ?? (await engine.listTopics()).map(({ name }) => name)
  const partitions = of.partitions ?? Array.from({ length: engine.partitions }, (_, partition) => partition)
  const places = topics.flatMap((topic) => partitions.map((partition) => ({ topic, partition })))
  const ends = places.map(async (at) => {
    return [`${at.topic}/${at.partition}`, (await engine.bounds(at)).end] as const
  })
  return Object.fromEntries(await Promise.all(ends))
}
