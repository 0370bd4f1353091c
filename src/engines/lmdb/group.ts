import type { ClaimListener, Member } from '../../log/port.ts'
import { Renewals } from '../../log/renewals.ts'
import type { StoredClaim } from './stored-claim.ts'

/** What a group needs of the engine. */
export interface GroupContext {
  readonly partitions: number
  /** Takes the next epoch of each partition, durably, and makes the claims. */
  claim(
    group: string,
    shares: readonly Share[],
    onFailed: (claim: StoredClaim) => void,
  ): Promise<StoredClaim[]>
  /** Runs work that nobody waits for until it succeeds. */
  retry(task: () => Promise<void>): void
}

/** A partition and who is to have it. */
export interface Share {
  readonly partition: number
  readonly memberId: string
}

/**
 * The members of one group in this process and who has which partition. A claim ends in memory before its partition is
 * given on, and whatever it had not staged by then is refused: so two claims never commit side by side.
 */
export class Group {
  readonly name: string
  readonly #context: GroupContext
  readonly #listeners = new Map<string, ClaimListener>()
  readonly #claims = new Map<number, StoredClaim>()
  readonly #renewals = new Renewals()
  /** Changes come one after the other. */
  #last: Promise<void> = Promise.resolve()

  constructor(name: string, context: GroupContext) {
    this.name = name
    this.#context = context
  }

  /** See `Membership.renewal`. */
  get renewal(): Promise<void> | undefined {
    return this.#renewals.pending
  }

  /** Resolves when the member has been given its share. Throws `TypeError` when there is a member of that id. */
  async join(member: Member, listener: ClaimListener): Promise<void> {
    if (this.#listeners.has(member.id)) {
      throw new TypeError(`group '${this.name}' has a member '${member.id}' already; give each its own id`)
    }
    this.#listeners.set(member.id, listener)
    try {
      await this.#spread()
    } catch (error) {
      this.#remove(member.id)
      this.#context.retry(() => this.#spread())
      throw error
    }
  }

  /** Ends a member's claims at once; resolves when others have been given its share. */
  async leave(memberId: string): Promise<void> {
    this.#remove(memberId)
    try {
      await this.#spread()
    } catch (error) {
      this.#context.retry(() => this.#spread())
      throw error
    }
  }

  /** Ends every claim. */
  end(): void {
    for (const claim of this.#claims.values()) claim.lose()
    this.#claims.clear()
    this.#listeners.clear()
  }

  #remove(memberId: string): void {
    this.#listeners.delete(memberId)
    for (const claim of [...this.#claims.values()]) if (claim.memberId === memberId) this.#take(claim)
  }

  #take(claim: StoredClaim): void {
    if (this.#claims.get(claim.partition) === claim) this.#claims.delete(claim.partition)
    claim.lose()
  }

  #spread(): Promise<void> {
    const spread = this.#last.then(() => this.#giveShares())
    this.#last = spread.catch(() => undefined)
    return spread
  }

  /** Gives what nobody has to those who have too little. */
  async #giveShares(): Promise<void> {
    const shares = this.#shares()
    if (shares.length === 0) return
    const claims = await this.#context.claim(this.name, shares, (claim) => this.#renew(claim))
    const given: StoredClaim[] = []
    for (const claim of claims) {
      if (!this.#listeners.has(claim.memberId)) continue
      this.#claims.set(claim.partition, claim)
      given.push(claim)
    }
    for (const claim of given) this.#listeners.get(claim.memberId)?.(claim)
  }

  /** Equal shares in the order of the members' ids, moving no partition that need not move. */
  #shares(): Share[] {
    const members = [...this.#listeners.keys()].sort()
    if (members.length === 0) return []
    const { partitions } = this.#context
    const room = new Map<string, number>()
    for (const [index, id] of members.entries()) {
      room.set(id, Math.floor((partitions + members.length - 1 - index) / members.length))
    }
    for (const claim of [...this.#claims.values()]) {
      const left = room.get(claim.memberId) ?? 0
      if (left === 0) this.#take(claim)
      else room.set(claim.memberId, left - 1)
    }
    const shares: Share[] = []
    for (let partition = 0; partition < partitions; partition += 1) {
      if (this.#claims.has(partition)) continue
      const memberId = members.find((id) => (room.get(id) ?? 0) > 0)
      if (memberId === undefined) break
      room.set(memberId, (room.get(memberId) ?? 0) - 1)
      shares.push({ partition, memberId })
    }
    return shares
  }

  /** A claim whose commit failed ends, and its member is given the partition anew. */
  #renew(claim: StoredClaim): void {
    if (this.#claims.get(claim.partition) !== claim) return
    this.#renewals.begin()
    this.#take(claim)
    this.#context.retry(async () => {
      await this.#spread()
      this.#renewals.end()
    })
  }
}
