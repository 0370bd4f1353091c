import type { ClaimListener, Membership } from '../../log/port.ts'
import { Renewals } from '../../log/renewals.ts'
import type { Group, GroupMember, Ownership } from './group.ts'
import { type ClaimHost, MemoryClaim } from './memory-claim.ts'

/** What a membership needs of its engine. */
export interface MembershipHost extends ClaimHost {
  /** Does `act` in a step of its own, unless the engine has closed or crashed by then. */
  later(name: string, act: () => void): void
  /** Called when the membership has ended. */
  ended(membership: MemoryMembership): void
}

/** One engine's part in a group: turns what the group says of its member into claims. */
export class MemoryMembership implements Membership, GroupMember {
  readonly id: string
  readonly #host: MembershipHost
  readonly #group: Group
  readonly #listener: ClaimListener
  readonly #claims = new Map<Ownership, MemoryClaim>()
  readonly #unannounced = new Set<MemoryClaim>()
  readonly #announcements = new Renewals()
  /** While the group goes on without this member: what it loses is not told one by one. */
  #away = false
  #left: Promise<void> | undefined

  constructor(id: string, group: Group, listener: ClaimListener, host: MembershipHost) {
    this.id = id
    this.#group = group
    this.#listener = listener
    this.#host = host
  }

  get renewal(): Promise<void> | undefined {
    return this.#announcements.pending
  }

  given(ownership: Ownership): void {
    const claim = new MemoryClaim(this.#host, ownership)
    this.#claims.set(ownership, claim)
    this.#unannounced.add(claim)
    this.#announcements.begin()
    this.#host.later('claim:give', () => this.#announce(claim))
  }

  lost(ownership: Ownership): void {
    if (!this.#away) this.#host.later('claim:lose', () => this.#forget(ownership))
  }

  enter(): void {
    this.#away = false
    this.#group.join(this)
  }

  /** Announces every claim that was given so far. */
  announceAll(): void {
    for (const claim of [...this.#unannounced]) this.#announce(claim)
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave().catch((error: unknown) => {
      this.#left = undefined
      throw error
    })
    return this.#left
  }

  /** Gives up every claim at once. */
  end(): void {
    this.vanish()
    this.#left ??= Promise.resolve()
    this.#host.ended(this)
    this.loseAll()
  }

  /** Others take over what this member had, and it does not know. */
  vanish(): void {
    this.#away = true
    this.#group.leave(this)
  }

  /** Tells of the loss of every claim. */
  loseAll(): void {
    for (const ownership of [...this.#claims.keys()]) this.#forget(ownership)
  }

  #leave(): Promise<void> {
    return this.#host.begin(async () => {
      await this.#host.step('leave:apply')
      this.end()
      await this.#host.step('leave:acknowledge')
    })
  }

  #announce(claim: MemoryClaim): void {
    if (!this.#unannounced.delete(claim)) return
    if (!claim.signal.aborted) this.#listener(claim)
    this.#announcements.end()
  }

  #forget(ownership: Ownership): void {
    this.#claims.get(ownership)?.lose()
    this.#claims.delete(ownership)
  }
}
