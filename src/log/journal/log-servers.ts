import type { ClaimName } from '../moving.ts'
import type {
  Appended,
  Batch,
  Bounds,
  Capabilities,
  Entry,
  Offset,
  Place,
  ReadLimits,
  Topic,
  TopicOptions,
  TrimLimits,
} from '../port.ts'

/**
 * What servers without a commit over several subjects offer, and what `JournaledEngine` makes a whole engine of: places
 * of records, one journal for each claim, and hints about who is there. The contract of the log port holds for every method
 * that has its name there; what follows is the rest.
 *
 * The protocol, from above
 *
 *     owner                          journal of (group, partition)          places
 *       │  last() ─────────────────▶ … 7: commit, epoch 3
 *       │  append(epoch 4, after 7)▶ 8: epoch 4      a former owner, who expects 7, is refused from here on
 *       │  checkpoint, read ◀─────── state and outbox, up to 8
 *       │  forward what is missing ───────────────────────────────────────▶ …
 *       │  (the claim is announced)
 *       │  append(commit, after 8) ▶ 9: puts, deletes, outbox
 *       │  forward the outbox ────────────────────────────────────────────▶ each place, in order
 *       │  apply the state locally
 *       │  (the commit is acknowledged)
 *
 * Journals
 * - A journal is a sequence of values with one writer at a time. `append` stores a value only if the newest sequence is the
 *   one that the caller expects (0 where there has never been one), and says so if not: it is compared and stored in one
 *   step. Sequences are safe integers above 0 that grow, and may skip.
 * - An append that resolved as stored is durable and seen by every later `last` and `read`, of any process. One that
 *   rejects is in doubt: it may be stored, now or still later, but only where the expected sequence is still the newest.
 * - `trim` removes values up to a sequence, but never the newest one: `last` never goes back.
 * - `read` gives values in order, and at least one where there is one, whatever the limits. It says nothing of values that
 *   were trimmed: the caller sees that by what the values say themselves.
 * - Nothing is ever removed but by `trim`, and by the deletion of the log.
 *
 * Checkpoints
 * - `putCheckpoint` stores bytes under a sequence of the journal. It resolves once they are durable, as a whole; until
 *   then, and when it fails or the process ends, nobody ever sees a part of them.
 * - `checkpoint` gives the one of the highest sequence that is whole. One of a lower sequence that is stored late changes
 *   nothing. Servers remove those that are not the highest any more; whoever reads one then gets an error and asks again.
 *
 * Forwarding
 * - What an owner appends by its commits comes to a place through `forward`, and stands there among the records that
 *   `append` stores, in one order. Every claim is an origin of its own for every place, and each of its entries there has
 *   a position: journal sequence, then index. The newest position of an origin in a place, with the servers' revision of it,
 *   is the origin's mark.
 * - `forward` stores entries only if the mark is still the one that the caller knows, compared and stored in one step for
 *   each entry or for all at once, and moves the mark to the position of the last one. So of two owners who forward the
 *   same entry, however long one of them was paused before, one is refused; and a new owner sees exactly what is there.
 *   (JetStream: a subject for each origin and place, with the expected last sequence of that subject.)
 * - When `forward` rejects or is refused, a prefix of the entries may be stored: the mark tells which. All that is stored by
 *   one call or by several is in the order of positions.
 * - An entry with a `deduplicationId` that its topic has stored within the window is not stored again, whatever its
 *   content: it is answered as a duplicate of the first record. The mark moves past it all the same.
 * - A mark outlives the records: trimming takes no mark back. (JetStream: note the marks whose records go, then purge.)
 *   Deleting a topic deletes its marks.
 *
 * Needs
 * - `tellNeeds` resolves once every later `neededAt`, of any process, goes by it. What was told replaces what the same claim
 *   told of the same topic before with a lower order, and nothing else; what comes late, with a lower order, changes nothing.
 *   Deleting a topic deletes what is needed of it.
 *
 * Members
 * - Signs of members are hints: who is there, and what each believes to own. They may be late, and they may be lost.
 *   `announce` replaces a sign of the same member. `membersChanged` resolves as soon as the list is not the known one any
 *   more, without polling, and never misses the latest change. Nobody but its member, and who has found it gone, withdraws
 *   a sign; one that was withdrawn comes back when it is announced again.
 *
 * Ending
 * - After `close` every call rejects with `LOG_CLOSED`. The engine above calls it last, when nothing else is under way but
 *   `changed` and `membersChanged`, which then reject with it.
 */
export interface LogServers {
  /** Names this log and no other: one that is made anew in the same place has another id. */
  readonly logId: string
  readonly partitions: number
  readonly capabilities: ServerCapabilities
  readonly limits: ServerLimits

  createTopic(name: string, options: TopicOptions): Promise<void>
  listTopics(): Promise<readonly Topic[]>
  deleteTopic(name: string): Promise<void>
  bounds(at: Place): Promise<Bounds>
  offsetAt(at: Place, timeMs: number): Promise<Offset>
  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]>
  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch>
  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]>
  /** As `trim` of the port, but never past `needed`. */
  trim(at: Place, limits: TrimLimits, needed: Offset): Promise<Offset>

  /** The mark of an origin in a place, as of now: what any owner forwarded before is in it. */
  mark(origin: ClaimName, at: Place): Promise<OriginMark>
  /** Stores entries of one place behind `after`. They are in the order of their positions. */
  forward(
    origin: ClaimName,
    at: Place,
    entries: readonly ForwardedEntry[],
    after: OriginMark,
  ): Promise<Forwarding>

  journal(name: ClaimName): Journal

  /** Keeps what a claim needs of topics; `order` is the journal sequence of the commit that said so. */
  tellNeeds(name: ClaimName, needs: Readonly<Record<string, Offset>>, order: number): Promise<void>
  /** The lowest offset that any group needs of a place; undefined where none has said so. */
  neededAt(at: Place): Promise<Offset | undefined>

  announce(group: string, sign: MemberSign): Promise<void>
  /** Takes a sign away, if it is still of that incarnation. */
  withdraw(group: string, sign: Pick<MemberSign, 'memberId' | 'incarnation'>): Promise<void>
  members(group: string): Promise<MemberList>
  /** Resolves when the revision is above `known`; rejects with the signal's reason. */
  membersChanged(group: string, known: number, signal: AbortSignal): Promise<MemberList>

  close(): Promise<void>
}

export type { ClaimName }

/** What the servers can promise; the journal adds the rest. */
export type ServerCapabilities = Pick<
  Capabilities,
  'persistent' | 'powerLossSafe' | 'atomicAppend' | 'appendDeduplicates' | 'orderedTimes'
>

/** What the servers take at once. */
export interface ServerLimits {
  /** The most bytes of a value of a journal. A larger commit is split. */
  readonly maxJournalBytes: number
  /** The most bytes of the value of an entry that is forwarded. A commit with a larger one is `COMMIT_TOO_LARGE`. */
  readonly maxEntryBytes: number
}

/** A value of a journal at its sequence. */
export interface JournalValue {
  readonly sequence: number
  readonly value: Uint8Array
}

/** What became of an append to a journal: stored at a sequence, or refused because another value is the newest. */
export type JournalAppend =
  | { readonly stored: true; readonly sequence: number }
  | { readonly stored: false; readonly last: number }

/** A state of a claim as bytes, by the journal sequence that it is put under. */
export interface Checkpoint {
  readonly sequence: number
  /** In pieces of any size. */
  readonly chunks: AsyncIterable<Uint8Array>
}

/** The journal of one claim; see the contract at the top of this file. */
export interface Journal {
  /** The newest value; undefined where there has never been one. */
  last(): Promise<JournalValue | undefined>
  append(value: Uint8Array, expectedLast: number): Promise<JournalAppend>
  /** Values of sequences above `after`, in order; none at the end. */
  read(after: number, limits: ReadLimits): Promise<readonly JournalValue[]>
  /** Removes values up to and including `through`, but never the newest. */
  trim(through: number): Promise<void>
  putCheckpoint(checkpoint: Checkpoint): Promise<void>
  checkpoint(): Promise<Checkpoint | undefined>
}

/** A place in the outbox of an origin: positions are ordered by sequence, then by index. */
export interface Position {
  /** The sequence of the journal value that completes the commit. */
  readonly sequence: number
  /** Which of the commit's appends, in the order in which they are forwarded. */
  readonly index: number
}

/** An entry on its way from an outbox to its place. */
export interface ForwardedEntry {
  readonly position: Position
  readonly value: Uint8Array
  readonly timeMs: number
  readonly deduplicationId?: string
}

/** How far an origin has forwarded to a place. */
export interface OriginMark {
  /** Undefined where it has forwarded nothing there. */
  readonly position: Position | undefined
  /** The servers' own name for this state of the mark, by which they tell whether it is still so. */
  readonly revision: number
}

/** What became of a `forward`: where each entry is, or that the mark was another. */
export type Forwarding =
  | { readonly stored: true; readonly appended: readonly Appended[]; readonly mark: OriginMark }
  | { readonly stored: false; readonly mark: OriginMark }

/** What a member says of itself to the others of its group. */
export interface MemberSign {
  readonly memberId: string
  /** Another for every time that a member joins. */
  readonly incarnation: string
  /** Grows with every sign of an incarnation: one that does not for a while is taken for gone, by each watcher's own clock. */
  readonly beat: number
  /** The claims that it holds. */
  readonly owned: readonly { readonly partition: number; readonly epoch: number }[]
}

/** The members of a group as their signs tell. */
export interface MemberList {
  /** Grows whenever the signs change. */
  readonly revision: number
  readonly members: readonly MemberSign[]
}
