/**
 * The log port: what every engine promises. The contract comes first; `millrace/testing` holds every engine to it.
 *
 * Places and offsets
 * - A log has topics; every topic has the log's one partition count. A place is one partition of one topic.
 * - Offsets of a place are safe integers that only grow. They may skip. `bounds().end` is above every visible offset.
 * - An offset becomes visible only after all smaller ones of its place. What is visible is durable: it never disappears,
 *   except by `trim` or `deleteTopic`, and never changes.
 * - The times of a place never fall: an engine raises an entry's `timeMs` to that of the record before it. Where not
 *   `capabilities.orderedTimes`, times of records that several writers append at the same moment may stand out of order, by no
 *   more than that took, and `offsetAt` is as exact.
 * - A topic that is not there is `TOPIC_UNKNOWN` in every call; a partition that the log does not have is a `TypeError`.
 *
 * Appending
 * - `append` resolves once every entry is durable, and gives each its place in the order of the call. If it rejects,
 *   either nothing was appended or, where `capabilities.atomicAppend` is false, some of the entries were: of those to one
 *   place the first ones, and of those behind a change of topic none before all in front of it.
 * - Appends of one process to one place are ordered as they were called.
 * - Where `capabilities.appendDeduplicates`, an entry with a `deduplicationId` that its topic has stored within the
 *   window is not stored again: the answer is the first record's place with
 *   `duplicate: true`, and never before that record is durable. The same id with other content (see `same-event.ts`) is
 *   `ID_REUSED` for as long as the first record can be read, and then nothing of the call is appended. This holds within
 *   one call, for the appends of a commit, and after a restart too. Where not, every entry is stored. Where not
 *   `capabilities.atomicCommit`, a commit cannot be taken back when an id turns out to be reused: it holds, the first record
 *   stands, and the entry is answered as a duplicate of it.
 * - A signal that aborts before the append has begun rejects with its reason and appends nothing; later it has no effect.
 *
 * Reading
 * - `read` gives visible records from `from` on, in offset order, at least one when there is one, whatever the limits.
 *   Reading at or past the end gives none. Reading below the start is `OFFSET_TRIMMED` and never jumps. `next` is above the
 *   last record that is given; where none is left below the end, none is given and `next` is at least that end.
 * - A record whose checksum fails is `RECORD_CORRUPT` when it is the first to be read, with `facts` `{ topic, partition,
 *   offset }`; a read that meets one later stops before it. Reading from `offset + 1` goes on behind it.
 * - `changed` resolves with the places whose `end` is above the offset that is known, at once or when that comes true.
 *   It never polls a server in a loop and never misses news. It rejects with the signal's reason, with `TOPIC_UNKNOWN`
 *   when one of the topics is deleted, and with `LOG_CLOSED` when the engine closes. The places are equal to those that
 *   were passed, not the same objects.
 *
 * Claims
 * - Within a group, a partition number (over all topics) has at most one claim that can commit: the one of the highest
 *   epoch. Epochs of a group and partition only grow, across restarts too.
 * - `commit` is atomic and durable: its puts, deletes and appends all hold, or none does. Commits of one claim apply in
 *   call order, and are acknowledged in it. After one has failed, for whatever reason, the claim is lost: every later
 *   one fails too, and the engine gives the partition anew, with a higher epoch, to this member or to another. Until then
 *   the membership has a `renewal`, from before the claim's signal is aborted. Whether a commit that failed holds is settled
 *   when the partition is given anew.
 * - Where not `capabilities.atomicCommit`, a commit holds from one moment on, and its appends become visible behind that
 *   moment one by one: those to one place in order, and behind those of earlier commits; those that `comesLast` last.
 *   When it resolves all are visible. When the owner ends before, nobody is given the partition until they are; only those to a topic that was
 *   deleted meanwhile are gone with it.
 * - A claim that was lost, or whose epoch is old, rejects `commit`, `get` and `range` with `NOT_OWNER`, and its signal is
 *   aborted as soon as the engine knows. Where not `capabilities.fencedReads`, `get` and `range` may answer until then.
 * - `get` and `range` see every commit of this claim that was acknowledged, and all that earlier owners committed; and a commit
 *   of which a record that `comesLast` is visible.
 * - Keys are strings of valid Unicode, at most {@link maxStateKeyBytes} bytes of UTF-8, ordered by those bytes.
 *
 * Ending
 * - `close` lets calls that have begun settle, releases every claim and resolves when nothing runs any more; closing
 *   twice is fine, and so is leaving a group afterwards. Every other call on a closing or closed engine, and on a claim of
 *   one, rejects with `LOG_CLOSED`.
 * - Everything that crosses the port can be structured-cloned. Nobody changes bytes once they have been passed in;
 *   bytes that come out belong to the caller.
 */

/** A place in a partition; a safe integer that grows and may skip. */
export type Offset = number

/** One ordered part of one topic. */
export interface Place {
  readonly topic: string
  readonly partition: number
}

/** What is to be appended. */
export interface Entry extends Place {
  /** The encoded event; see `core/event-codec`. */
  readonly value: Uint8Array
  /** When it was appended, in milliseconds since 1970 UTC. */
  readonly timeMs: number
  /** Present when the publisher chose the id: makes the append idempotent within the deduplication window. */
  readonly deduplicationId?: string
  /**
   * In a commit whose appends become visible one by one: that this one comes behind all that do not say so. It tells of
   * what the commit has done, as a reply does.
   */
  readonly comesLast?: boolean
}

/** Where an entry is now. */
export interface Appended extends Place {
  readonly offset: Offset
  /** True when the record was there already; `offset` is then that of the first one. */
  readonly duplicate: boolean
}

/** An entry at its offset. */
export interface StoredRecord {
  readonly offset: Offset
  readonly timeMs: number
  readonly value: Uint8Array
}

/** The bounds of one read. At least one record is given when there is one. */
export interface ReadLimits {
  readonly records: number
  readonly bytes: number
}

/** The answer of a read. */
export interface Batch {
  readonly records: readonly StoredRecord[]
  /** Where to read on. */
  readonly next: Offset
}

/** The bounds of a place. */
export interface Bounds {
  /** The smallest offset that can be read. */
  readonly start: Offset
  /** Above every visible offset: where the next record will be, or before it. */
  readonly end: Offset
  /** The stored bytes of its records, approximately. */
  readonly bytes: number
}

/** How long records are kept. Without bounds: for ever. Retention never passes the lowest cursor of any group. */
export interface Retention {
  readonly maxAgeMs?: number
  /** For each partition. */
  readonly maxBytes?: number
}

/** Options of a topic. */
export interface TopicOptions {
  readonly retention?: Retention
}

/** A topic of the log. */
export interface Topic {
  readonly name: string
  readonly options: TopicOptions
}

/** What trims a place: everything that any of the bounds lets go. */
export interface TrimLimits {
  /** Records below this offset may go. */
  readonly before?: Offset
  /** Records appended before this time may go. */
  readonly beforeTimeMs?: number
  /** The oldest records beyond this many stored bytes may go. */
  readonly keepBytes?: number
}

/** What an engine can promise; the runtime and the contract suite read the same. */
export interface Capabilities {
  /** Whether an acknowledged record survives `close` and the end of the process. */
  readonly persistent: boolean
  /** Whether an acknowledged record survives a loss of power of every server at once. */
  readonly powerLossSafe: boolean
  /** Whether an append of many entries is stored as a whole or not at all. */
  readonly atomicAppend: boolean
  /** Whether a second append of the same `deduplicationId` is not stored. */
  readonly appendDeduplicates: boolean
  /**
   * Whether the appends of a commit become visible together with its state. Where not they follow, exactly once and in
   * order: before the commit resolves, or else before the partition is given to its next owner.
   */
  readonly atomicCommit: boolean
  /**
   * Whether a claim that was replaced is refused every read. Where not, an owner that does not know it yet may still read
   * what it has committed itself.
   */
  readonly fencedReads: boolean
  /** Whether the times of a place never fall, also where several processes, or commits and appends, write there at the same moment. */
  readonly orderedTimes: boolean
}

/** The most bytes of UTF-8 in a key of a claim's state. */
export const maxStateKeyBytes = 1500

/** A key and its value in a claim's state. */
export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
}

/** Asks for keys in [`from`, `to`), in order of their bytes, at most `limit`. */
export interface KeyRange {
  readonly from: string
  readonly to: string
  readonly limit: number
}

/** One atomic step of a claim. */
export interface Change {
  readonly puts: readonly KeyValue[]
  readonly deletes: readonly string[]
  readonly appends: readonly Entry[]
  /**
   * For each topic named, the lowest offset of this claim's partition that its group still needs. Kept until replaced,
   * also while the group is not running; `trim` never passes it.
   */
  readonly needs?: Readonly<Record<string, Offset>>
}

/** One group's ownership of one partition number, over all topics, for one epoch. */
export interface Claim {
  readonly group: string
  readonly partition: number
  readonly epoch: number
  /** Aborted when the claim is lost, released or closed. */
  readonly signal: AbortSignal
  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  range(query: KeyRange): Promise<readonly KeyValue[]>
  commit(change: Change): Promise<readonly Appended[]>
}

/** A process that takes part in a group. */
export interface Member {
  /** Unique among the group's members. */
  readonly id: string
}

/**
 * Told of every claim that this member is given; of those of one partition in any order, where one has replaced another: the highest
 * epoch is the one that holds. A loss is told by the claim's own signal.
 */
export type ClaimListener = (claim: Claim) => void

/** A member's part in a group. */
export interface Membership {
  /**
   * Pending while partitions whose claims have ended by a failure are being given anew, to this member, which is told of them
   * before it resolves, or to another. Undefined while there are none. It never rejects.
   */
  readonly renewal: Promise<void> | undefined
  /** Gives up all claims of the membership, then resolves. Leaving twice is fine. */
  leave(): Promise<void>
}

/** An entry that cannot be in the log, although the transaction that it came with was committed. */
export interface RefusedEntry extends Entry {
  /** Why: `ID_REUSED` or `TOPIC_UNKNOWN`. */
  readonly error: Error
}

/** Lets entries come into the log with somebody else's transaction on the database that the log is in. */
export interface Outbox {
  /**
   * Makes the entries part of a transaction that is open. When it is committed they are appended once each, soon, whatever
   * becomes of this process; when it is rolled back they never were. Those of one transaction keep their order, and each comes behind
   * every entry whose transaction was committed when this one was entered. `TRANSACTION_INVALID` when the transaction is not on the
   * database of the log, or is none; `TypeError` for what cannot run a statement.
   */
  enter(transaction: unknown, entries: readonly Entry[]): Promise<void>
  /** Tells of every entry that was refused after its transaction had been committed. It is kept aside with its error. */
  onRefused(listener: (refused: RefusedEntry) => void): void
}

/** The log port. See the contract at the top of this file. */
export interface LogEngine {
  /** How many partitions every topic has; fixed when the log was created. */
  readonly partitions: number
  readonly capabilities: Capabilities
  /** Creates a topic. One that exists with equal options is fine; with others it is `TOPIC_CONFLICT`. */
  createTopic(name: string, options: TopicOptions): Promise<void>
  /** All topics, sorted by name. */
  listTopics(): Promise<readonly Topic[]>
  /** Deletes a topic with its records; `TOPIC_UNKNOWN` where there is none. Offsets of a later topic of that name start anew. */
  deleteTopic(name: string): Promise<void>
  bounds(at: Place): Promise<Bounds>
  /** The smallest offset whose record's time is at least `timeMs`, found by an index; `end` where there is none. */
  offsetAt(at: Place, timeMs: number): Promise<Offset>
  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]>
  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch>
  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]>
  /** Removes what the limits let go, never past what a group needs; gives the new start. */
  trim(at: Place, limits: TrimLimits): Promise<Offset>
  /**
   * Takes part in a group. Every claim is announced to the listener, the ones that can be had at once before the promise
   * resolves.
   */
  join(group: string, member: Member, listener: ClaimListener): Promise<Membership>
  /**
   * Copies all that is durable, as of one moment, into a folder that is made for it, while calls go on. Absent where the
   * servers of the engine have tools of their own for that. `FOLDER_UNUSABLE` when the folder exists.
   */
  backup?(folder: string): Promise<void>
  /** Absent where the log is in no database that others have transactions in. */
  readonly outbox?: Outbox
  close(): Promise<void>
}

/** Options that every engine takes when it is opened. */
export interface EngineOptions {
  /** The partition count of a log that is created by this opening; 16 unless given. An existing log keeps its own. */
  readonly partitions?: number
  /** How long a `deduplicationId` is remembered by the engine's clock, in milliseconds; 10 minutes unless given. */
  readonly deduplicationWindowMs?: number
  /** How many ids are remembered at most; 5 million unless given. */
  readonly deduplicationMaxIds?: number
  /** The bound of the log's size in bytes; beyond it appends are `LOG_FULL`. */
  readonly maxBytes?: number
}

/** The partition count of a new log. */
export const defaultPartitions = 16
