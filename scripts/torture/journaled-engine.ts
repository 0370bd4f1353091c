import { internalTopics } from '../../src/bus/internal-topics.ts'
import { endOfPrefix } from '../../src/bus/state-layout.ts'
import type {
  Appended,
  Claim,
  ClaimListener,
  LogEngine,
  Member,
  Membership,
  Offset,
  Place,
  StoredRecord,
} from '../../src/log/port.ts'
import { witnessTopic } from '../../src/testing/witness.ts'
import { tortureApp } from './app.ts'
import type { Journal, RecordPlace, Told } from './journal.ts'

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

  /** How many events wait for their time, over all claims; undefined while one is lost and not given anew yet. */
  async timers(): Promise<number | undefined> {
    let timers = 0
    for (const claim of this.#claims.values()) {
      if (claim.signal.aborted) return undefined
      const rows = await rowsOf(claim, 'timer/')
      timers += rows.filter(([, text]) => !('expired' in (JSON.parse(text) as object))).length
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

  /** Writes down what somebody was told of an event, with what is handled by now: another process may be about to write that. */
  async writeTold(line: { readonly handled: string } | { readonly told: Told }): Promise<void> {
    const ends = await endsOf(this.engine, [witnessTopic])
    this.#journal.write({ ...line, ends })
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
    const { group, partition } = claim
    const rows = await Promise.all([rowsOf(claim, 'subscription/'), rowsOf(claim, 'parked/')])
    const ends = await endsOf(engine, finishTopics, [partition])
    this.#journal.write({ claimed: { group, partition, rows: rows.flat(), ends } })
  }
}

/** The rows of a claim's state that begin with a prefix. */
export async function rowsOf(claim: Claim, prefix: string): Promise<[string, string][]> {
  const rows = await claim.range({ from: prefix, to: endOfPrefix(prefix), limit: everything })
  return rows.map(({ key, value }) => [key, decoder.decode(value)])
}

/** Where places end, by `topic/partition`: of all topics, or of some. */
export async function endsOf(
  engine: LogEngine,
  wanted?: readonly string[],
  partitions: readonly number[] = Array.from({ length: engine.partitions }, (_, partition) => partition),
): Promise<Record<string, Offset>> {
  const names = (await engine.listTopics()).map(({ name }) => name)
  const topics = wanted === undefined ? names : wanted.filter((name) => names.includes(name))
  const ends: Record<string, Offset> = {}
  for (const topic of topics) {
    for (const partition of partitions) {
      ends[`${topic}/${partition}`] = (await engine.bounds({ topic, partition })).end
    }
  }
  return ends
}

/** Topics that say that an event is finished. */
const finishTopics = [
  witnessTopic,
  ...new Set(
    tortureApp.handlers.map(({ options }) => internalTopics(options.group ?? tortureApp.name).deadLetters),
  ),
]

/** All records of a place, as of now. */
export async function allRecords(engine: LogEngine, at: Place): Promise<readonly StoredRecord[]> {
  const records: StoredRecord[] = []
  const { start, end } = await engine.bounds(at)
  for (let next = start; next < end; ) {
    const batch = await engine.read(at, next, { records: 10_000, bytes: 16 * 1024 * 1024 })
    records.push(...batch.records)
    next = batch.next
  }
  return records
}
