import { movesToShare } from '../shares.ts'
import type { MemberList, MemberSign } from './log-servers.ts'

interface Seen {
  readonly beat: number
  /** How many heartbeats of this process ago it was new. */
  age: number
}

/** What one member knows of its group: who is there, by its own clock, and who should have which partition. */
export class KnownMembers {
  readonly #memberId: string
  readonly #seen = new Map<string, Seen>()
  #list: MemberList = { revision: -1, members: [] }

  constructor(memberId: string) {
    this.#memberId = memberId
  }

  get revision(): number {
    return this.#list.revision
  }

  /** The sign that the servers keep of this member. */
  get own(): MemberSign | undefined {
    return this.#list.members.find(({ memberId }) => memberId === this.#memberId)
  }

  /** Takes note of a list, unless a newer one is known. */
  learn(list: MemberList): void {
    if (list.revision < this.#list.revision) return
    this.#list = list
    const there = new Set<string>()
    for (const sign of list.members) {
      there.add(sign.incarnation)
      if (this.#seen.get(sign.incarnation)?.beat !== sign.beat) {
        this.#seen.set(sign.incarnation, { beat: sign.beat, age: 0 })
      }
    }
    for (const incarnation of this.#seen.keys()) if (!there.has(incarnation)) this.#seen.delete(incarnation)
  }

  /** One heartbeat has passed. Gives the others whose signs have not changed for `lease` of them: they are gone. */
  age(lease: number): readonly MemberSign[] {
    for (const seen of this.#seen.values()) seen.age += 1
    return this.#others().filter(({ incarnation }) => (this.#seen.get(incarnation)?.age ?? 0) >= lease)
  }

  /** The latest epoch of a partition that another member says it holds. */
  epochElsewhere(partition: number): number {
    const epochs = this.#others().flatMap(({ owned }) =>
      owned.filter((each) => each.partition === partition).map(({ epoch }) => epoch),
    )
    return Math.max(0, ...epochs)
  }

  /**
   * The partitions that this member is to have, when it holds those of `held` now. All members come to the same end once
   * they know the same signs, and no partition moves that need not move.
   */
  shareOf(held: ReadonlyMap<number, number>, partitions: number): ReadonlySet<number> {
    const others = this.#others()
    const owners = Array.from({ length: partitions }, (_, partition) => {
      let owner = held.has(partition) ? this.#memberId : null
      let latest = held.get(partition) ?? 0
      for (const { memberId, owned } of others) {
        const epoch = owned.find((each) => each.partition === partition)?.epoch ?? 0
        if (epoch <= latest) continue
        owner = memberId
        latest = epoch
      }
      return { partition, memberId: owner }
    })
    const mine = new Set(
      owners.filter(({ memberId }) => memberId === this.#memberId).map(({ partition }) => partition),
    )
    const members = [this.#memberId, ...others.map(({ memberId }) => memberId)]
    for (const { partition, memberId } of movesToShare(members, owners)) {
      if (memberId === this.#memberId) mine.add(partition)
      else mine.delete(partition)
    }
    return mine
  }

  #others(): readonly MemberSign[] {
    return this.#list.members.filter(({ memberId }) => memberId !== this.#memberId)
  }
}
