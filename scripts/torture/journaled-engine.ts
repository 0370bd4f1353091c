import { endOfPrefix } from '../../src/bus/state-layout.ts'
import type { Appended, Claim, ClaimListener, LogEngine, Member, Membership } from '../../src/log/port.ts'
import type { Journal, RecordPlace } from './journal.ts'

const decoder = new TextDecoder()
const everything = 100_000

/** An engine whose acknowledgements are written down in the order in which they come. */
export class JournaledEngine {
  readonly engine: LogEngine
  readonly #journal: Journal
  readonly #claims = new Map<string, Claim>()
  readonly #counts = new Map<number, number>()

  constructor(engine: LogEngine, journal: Journal) {
    this.#journal = journal
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

  /** How many timers are set, over all claims. */
  async timers(): Promise<number> {
    let timers = 0
    for (const claim of this.#claims.values()) timers += (await rowsOf(claim, 'timer/')).length
    return timers
  }

  #write(appended: readonly Appended[]): readonly Appended[] {
    const places: RecordPlace[] = []
    for (const { duplicate, topic, partition, offset } of appended) {
      if (!duplicate) places.push({ topic, partition, offset })
    }
    if (places.length > 0) this.#journal.write({ appended: places })
    return appended
  }

  #join(engine: LogEngine, group: string, member: Member, listener: ClaimListener): Promise<Membership> {
    return engine.join(group, member, (claim) => {
      this.#counts.set(claim.partition, (this.#counts.get(claim.partition) ?? 0) + 1)
      this.#claims.set(`${group}/${claim.partition}`, claim)
      this.#announce(claim, listener)
    })
  }

  /** Looks at what is committed before the claim can change it. A claim that is lost meanwhile is told of as it is. */
  #announce(claim: Claim, listener: ClaimListener): void {
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
    Promise.all([rowsOf(claim, 'subscription/'), rowsOf(claim, 'parked/')])
      .then((rows) => this.#journal.write({ claimed: { partition, rows: rows.flat() } }))
      .catch(() => undefined)
      .finally(() => listener(watched))
  }
}

/** The rows of a claim's state that begin with a prefix. */
export async function rowsOf(claim: Claim, prefix: string): Promise<[string, string][]> {
  const rows = await claim.range({ from: prefix, to: endOfPrefix(prefix), limit: everything })
  return rows.map(({ key, value }) => [key, decoder.decode(value)])
}
