import { isMillraceError, MillraceError } from '../../core/errors.ts'
import type { Appended, Change, Entry, Offset } from '../port.ts'
import type { ClaimName, ForwardedEntry, LogServers, OriginMark, Position } from './log-servers.ts'
import type { PendingCommit } from './rebuild.ts'

/** The entries of one commit that go to one place. */
interface Share {
  readonly at: { readonly topic: string; readonly partition: number }
  readonly entries: ForwardedEntry[]
  /** Which of the commit's appends each of them is, in the order of the commit. */
  readonly indexes: number[]
}

/** After so many refusals of one share somebody else goes on forwarding it: that is no former owner. */
const maxRefusals = 20

/**
 * Brings what a claim's commits append to its places: in the order of the commits, exactly once, however often it is begun
 * anew and whoever else tries. Commits go one after the other; the places of one commit side by side.
 */
export class Outbox {
  readonly #servers: LogServers
  readonly #name: ClaimName
  /** The marks of this claim, by place, as it knows them. */
  readonly #marks = new Map<string, OriginMark>()

  constructor(servers: LogServers, name: ClaimName) {
    this.#servers = servers
    this.#name = name
  }

  /**
   * Forwards what a commit of this owner appends, what comes last once `beforeLast` has resolved, and tells what it needs;
   * gives each entry's place, in their order. Rejects with `NOT_OWNER` when another owner forwards.
   */
  async forward(
    sequence: number,
    { appends, needs = {} }: Pick<Change, 'appends' | 'needs'>,
    beforeLast: () => Promise<void>,
  ): Promise<readonly Appended[]> {
    const appended: Appended[] = new Array(appends.length)
    const [first, last] = wavesOf(sequence, appends)
    await allOf(first.map((share) => this.#forwardShare(share, appended)))
    await beforeLast()
    await allOf(last.map((share) => this.#forwardShare(share, appended)))
    await this.#tell(needs, sequence)
    return appended
  }

  async #forwardShare(share: Share, appended: Appended[]): Promise<void> {
    const after = this.#marks.get(nameOf(share)) ?? (await this.#servers.mark(this.#name, share.at))
    // A mark that was asked for late may be that of a later owner, who has forwarded this too.
    if (!share.entries.every(({ position }) => isAfter(position, after.position))) throw this.#refused()
    const answer = await this.#send(share, after)
    if (!answer.stored) throw this.#refused()
    for (const [nth, index] of share.indexes.entries()) appended[index] = answer.appended[nth] as Appended
  }

  /**
   * Forwards what is missing of commits of former owners, who may still be doing so themselves. What belongs to a topic that
   * is gone goes with it.
   */
  async recover(pending: readonly PendingCommit[]): Promise<void> {
    for (const { sequence, commit } of pending) {
      for (const shares of wavesOf(sequence, commit.appends)) {
        await allOf(shares.map((share) => this.#recoverShare(share)))
      }
      await this.#tell(commit.needs, sequence)
    }
  }

  async #recoverShare(share: Share): Promise<void> {
    try {
      let after = await this.#servers.mark(this.#name, share.at)
      for (let refusals = 0; refusals < maxRefusals; refusals += 1) {
        const missing = share.entries.filter(({ position }) => isAfter(position, after.position))
        if (missing.length === 0) return
        const answer = await this.#send({ ...share, entries: missing }, after)
        if (answer.stored) return
        after = answer.mark
      }
      throw this.#refused()
    } catch (error) {
      if (!isMillraceError(error, 'TOPIC_UNKNOWN')) throw error
    }
  }

  async #send(share: Share, after: OriginMark) {
    const answer = await this.#servers.forward(this.#name, share.at, share.entries, after)
    if (answer.stored) this.#marks.set(nameOf(share), answer.mark)
    else this.#marks.delete(nameOf(share))
    return answer
  }

  async #tell(needs: Readonly<Record<string, Offset>>, sequence: number): Promise<void> {
    if (Object.keys(needs).length > 0) await this.#servers.tellNeeds(this.#name, needs, sequence)
  }

  #refused(): MillraceError {
    const { group, partition } = this.#name
    return new MillraceError('NOT_OWNER', 'Another owner forwards what this one has committed.', {
      where: `${group}/${partition}`,
      fix: 'Go on with the next claim that the listener is given.',
      facts: { group, partition },
    })
  }
}

/** Resolves once all have; rejects as the first of them that rejects, once all have settled. */
async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises)
  await Promise.all(promises)
}

/** What is forwarded side by side, and what only behind it. Positions follow the same order. */
function wavesOf(sequence: number, appends: readonly Entry[]): readonly [Share[], Share[]] {
  const waves = [new Map<string, Share>(), new Map<string, Share>()] as const
  let first = 0
  let last = appends.filter(({ comesLast }) => !comesLast).length
  for (const [index, { topic, partition, comesLast, ...entry }] of appends.entries()) {
    const shares = waves[comesLast ? 1 : 0]
    const at = { topic, partition }
    const name = nameOf({ at })
    const share = shares.get(name) ?? { at, entries: [], indexes: [] }
    shares.set(name, share)
    share.entries.push({ ...entry, position: { sequence, index: comesLast ? last++ : first++ } })
    share.indexes.push(index)
  }
  return [[...waves[0].values()], [...waves[1].values()]]
}

function nameOf({ at }: Pick<Share, 'at'>): string {
  return `${at.partition}/${at.topic}`
}

function isAfter(position: Position, other: Position | undefined): boolean {
  if (other === undefined || position.sequence !== other.sequence) {
    return position.sequence > (other?.sequence ?? Number.NEGATIVE_INFINITY)
  }
  return position.index > other.index
}
