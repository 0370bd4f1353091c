import { isMillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { ClaimListener, Membership } from '../port.ts'
import { Renewals } from '../renewals.ts'
import type { JournaledClaim } from './journaled-claim.ts'
import type { MemberSign } from './log-servers.ts'
import { KnownMembers } from './member-list.ts'
import { type TakingHost, takeClaim } from './take-claim.ts'

/** What a membership needs of its engine. */
export interface MembershipHost extends TakingHost {
  readonly runtime: Runtime
  /** How often a member shows that it is there, in milliseconds. */
  readonly heartbeatMs: number
  /** After so many heartbeats without a sign a member is taken for gone. */
  readonly leaseHeartbeats: number
}

/** How long is waited before a partition is tried again, after failures that follow one another. */
const retryMs = { first: 100, most: 10_000 } as const

/**
 * One member's part in a group: shows that it is there, sees who else is, takes the claims that are its share and gives up
 * those that are not. What it knows of the others are hints: whoever takes a claim fences its former owner by the journal.
 */
export class JournaledMembership implements Membership {
  readonly group: string
  readonly #host: MembershipHost
  readonly #listener: ClaimListener
  readonly #known: KnownMembers
  readonly #sign: Omit<MemberSign, 'beat' | 'owned'>
  readonly #claims = new Map<number, JournaledClaim>()
  readonly #taking = new Map<number, Promise<void>>()
  /** How often a partition could not be had, one after the other. */
  readonly #failures = new Map<number, { readonly count: number; readonly atMs: number }>()
  readonly #waiting = new Set<number>()
  /** Partitions whose claims have failed, until this member has them again, or knows that it is not to have them. */
  readonly #renewing = new Set<number>()
  readonly #renewals = new Renewals()
  readonly #stop = new AbortController()
  #beat = 0
  #publishing: Promise<void> = Promise.resolve()
  #left: Promise<void> | undefined

  constructor(group: string, memberId: string, listener: ClaimListener, host: MembershipHost) {
    this.group = group
    this.#sign = { memberId, incarnation: host.runtime.id() }
    this.#listener = listener
    this.#host = host
    this.#known = new KnownMembers(memberId)
  }

  get renewal(): Promise<void> | undefined {
    return this.#renewals.pending
  }

  get memberId(): string {
    return this.#sign.memberId
  }

  /** Takes part. Resolves once every claim that can be had at once has been announced. */
  async enter(): Promise<void> {
    await this.#announce()
    await this.#refresh()
    await Promise.all(this.#share())
    await this.#publish()
    this.#spawn('members', () => this.#watch())
    this.#spawn('heartbeat', () => this.#show())
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave().catch((error: unknown) => {
      this.#left = undefined
      throw error
    })
    return this.#left
  }

  /** One of the member's claims has failed. */
  ended(claim: JournaledClaim): void {
    if (this.#claims.get(claim.partition) !== claim) return
    this.#claims.delete(claim.partition)
    this.#failed(claim.partition)
    if (!this.#renewing.has(claim.partition)) this.#renewals.begin()
    this.#renewing.add(claim.partition)
    this.#spawn('end of a claim', async () => {
      await claim.end()
      // A claim that somebody else has taken shows in the signs.
      await this.#refresh().catch(() => {})
      this.#tryAgain(claim.partition)
    })
  }

  async #leave(): Promise<void> {
    await this.#giveUp()
    await this.#host.servers.withdraw(this.group, this.#sign)
  }

  async #giveUp(): Promise<void> {
    this.#stop.abort(new Error('the member has left'))
    const claims = [...this.#claims.values()]
    this.#claims.clear()
    for (const claim of claims) claim.lose()
    for (const partition of [...this.#renewing]) this.#renewed(partition)
    await Promise.all([...claims.map((claim) => claim.end()), ...this.#taking.values()])
    await this.#publishing
  }

  /** Takes what is this member's share and gives up what is not; gives the first attempts at what is taken. */
  #share(): readonly Promise<void>[] {
    if (this.#stop.signal.aborted) return []
    const held = new Map([...this.#claims].map(([partition, { epoch }]) => [partition, epoch]))
    const mine = this.#known.shareOf(held, this.#host.servers.partitions)
    for (const [partition, claim] of [...this.#claims]) {
      if (!mine.has(partition) || this.#known.epochElsewhere(partition) > claim.epoch) this.#release(claim)
    }
    for (const partition of [...this.#renewing]) if (!mine.has(partition)) this.#renewed(partition)
    const wanted = [...mine].filter((partition) => {
      return !this.#claims.has(partition) && !this.#taking.has(partition) && !this.#waiting.has(partition)
    })
    return wanted.map((partition) => this.#begin(partition))
  }

  #release(claim: JournaledClaim): void {
    this.#claims.delete(claim.partition)
    claim.lose()
    this.#spawn('end of a claim', () => claim.end())
    this.#spawn('sign', () => this.#publish())
  }

  #begin(partition: number): Promise<void> {
    const taking = this.#take(partition)
    this.#taking.set(partition, taking)
    return taking
  }

  async #take(partition: number): Promise<void> {
    let claim: JournaledClaim | undefined
    try {
      claim = await takeClaim({ group: this.group, partition }, this.memberId, this.#host)
    } catch (error) {
      if (isMillraceError(error, 'LOG_CLOSED')) return
    } finally {
      this.#taking.delete(partition)
    }
    if (claim === undefined) {
      if (this.#stop.signal.aborted) return
      this.#failed(partition)
      await this.#refresh().catch(() => {})
      this.#tryAgain(partition)
    } else if (this.#stop.signal.aborted) {
      claim.lose()
      await claim.end()
    } else {
      this.#claims.set(partition, claim)
      this.#spawn('sign', () => this.#publish())
      this.#listener(claim)
      this.#renewed(partition)
    }
  }

  #renewed(partition: number): void {
    if (this.#renewing.delete(partition)) this.#renewals.end()
  }

  #failed(partition: number): void {
    const { count, atMs } = this.#failures.get(partition) ?? { count: 0, atMs: 0 }
    const nowMs = this.#host.runtime.now()
    const isRecent = Math.abs(nowMs - atMs) < 2 * retryMs.most
    this.#failures.set(partition, { count: isRecent ? count + 1 : 1, atMs: nowMs })
  }

  /** The first time at once, later after a while: two who do not agree on whose it is must not keep each other from it. */
  #tryAgain(partition: number): void {
    const count = this.#failures.get(partition)?.count ?? 0
    if (this.#stop.signal.aborted || this.#waiting.has(partition)) return
    this.#waiting.add(partition)
    this.#spawn('retry of a claim', async () => {
      const { runtime } = this.#host
      const mostMs = count < 2 ? 0 : Math.min(retryMs.most, retryMs.first * 2 ** (count - 2))
      if (mostMs > 0) await runtime.sleep(mostMs * (0.5 + runtime.random() / 2), this.#stop.signal)
      this.#waiting.delete(partition)
      await Promise.all(this.#share())
    })
  }

  async #refresh(): Promise<void> {
    this.#known.learn(await this.#host.servers.members(this.group))
  }

  async #watch(): Promise<void> {
    const { servers, runtime, heartbeatMs } = this.#host
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        this.#known.learn(await servers.membersChanged(this.group, this.#known.revision, signal))
      } catch (error) {
        if (signal.aborted || isMillraceError(error, 'LOG_CLOSED')) return
        await runtime.sleep(heartbeatMs, signal)
        continue
      }
      const { own } = this.#known
      // Others took this member for gone, and have taken what it had, or will.
      if (own === undefined) await this.#publish()
      // Another process goes by this member's name: it goes on, and this one does not.
      else if (own.incarnation !== this.#sign.incarnation) return this.#giveUp()
      // What is taken may take long; the others must be watched meanwhile.
      this.#spawn('shares', () => Promise.all(this.#share()).then(() => {}))
    }
  }

  async #show(): Promise<void> {
    const { runtime, servers, heartbeatMs, leaseHeartbeats } = this.#host
    for (;;) {
      await runtime.sleep(heartbeatMs, this.#stop.signal)
      await this.#publish()
      const gone = this.#known.age(leaseHeartbeats)
      for (const sign of gone) await servers.withdraw(this.group, sign).catch(() => {})
    }
  }

  /** Shows what this member holds. One that fails is made up for by the next heartbeat. */
  #publish(): Promise<void> {
    return this.#announce().catch(() => {})
  }

  #announce(): Promise<void> {
    const announced = this.#publishing.then(async () => {
      if (this.#stop.signal.aborted) return
      this.#beat += 1
      const owned = [...this.#claims].map(([partition, { epoch }]) => ({ partition, epoch }))
      await this.#host.servers.announce(this.group, { ...this.#sign, beat: this.#beat, owned })
    })
    this.#publishing = announced.catch(() => {})
    return announced
  }

  /** Runs what ends quietly when the member leaves or the log closes. */
  #spawn(name: string, task: () => Promise<void>): void {
    this.#host.spawn(`${name} of ${this.group}`, async () => {
      try {
        await task()
      } catch (error) {
        if (!this.#stop.signal.aborted && !isMillraceError(error, 'LOG_CLOSED')) throw error
      }
    })
  }
}
