import { notOwner } from '../failures.ts'
import type { StateStores } from '../state-store.ts'
import {
  decodeJournalValue,
  encodeJournalEntry,
  type JournalEntry,
  type JournalStep,
} from './journal-codec.ts'
import { type ClaimHost, JournaledClaim } from './journaled-claim.ts'
import type { ClaimName, Journal } from './log-servers.ts'
import { Outbox } from './outbox.ts'
import { rebuild } from './rebuild.ts'
import type { Tenures } from './tenures.ts'

/** What taking a claim needs of the engine. */
export interface TakingHost extends ClaimHost {
  readonly stores: StateStores
  readonly tenures: Tenures
}

/**
 * Takes a claim: fences its former owner by an epoch value, brings the local state up to it, and forwards what former owners
 * have committed and not forwarded. Undefined when somebody else was faster; `NOT_OWNER` when somebody else has taken the
 * claim meanwhile. It can be tried again after any failure.
 */
export async function takeClaim(
  name: ClaimName,
  memberId: string,
  host: TakingHost,
): Promise<JournaledClaim | undefined> {
  const journal = host.servers.journal(name)
  const fenced = await fence(name, memberId, journal)
  if (fenced === undefined) return undefined
  const tenure = await host.tenures.begin(name, fenced.epoch)
  if (tenure === undefined) throw notOwner({ ...name, epoch: fenced.epoch })
  try {
    const store = await host.stores.open({ ...name, logId: host.servers.logId })
    try {
      const rebuilt = await rebuild({ name, journal, store, epoch: fenced })
      const outbox = new Outbox(host.servers, name)
      await outbox.recover(rebuilt.pending)
      return new JournaledClaim(host, { name, epoch: fenced.epoch, journal, store, outbox, rebuilt, tenure })
    } catch (error) {
      await store.close()
      throw error
    }
  } catch (error) {
    tenure.end()
    throw error
  }
}

/** An owner that still commits may be faster this often. */
const maxFenceAttempts = 32

/** Appends the epoch value of a new owner; undefined when another new owner was faster, or the former one again and again. */
export async function fence(
  name: ClaimName,
  memberId: string,
  journal: Journal,
): Promise<JournalStep | undefined> {
  let formerEpoch: number | undefined
  for (let attempt = 0; attempt < maxFenceAttempts; attempt += 1) {
    const last = await journal.last()
    const before = last === undefined ? undefined : decodeJournalValue(last, name)
    const epoch = before?.epoch ?? 0
    formerEpoch ??= epoch
    if (epoch !== formerEpoch) return undefined
    const entry: JournalEntry = {
      kind: 'epoch',
      memberId,
      epoch: epoch + 1,
      previous: before?.sequence ?? 0,
      chain: before?.checksum ?? 0,
      forwarded: before?.forwarded ?? 0,
    }
    const { value, checksum } = encodeJournalEntry(entry)
    const appended = await journal.append(value, entry.previous)
    if (appended.stored) return { ...entry, sequence: appended.sequence, checksum }
  }
  return undefined
}
