import { MillraceError } from '../core/errors.ts'
import type { Batch, KeyValue, Offset, Place, ReadLimits, StoredRecord, Topic } from './port.ts'

/**
 * Moving a log into another engine: an application goes on there as if nothing had happened. An engine offers two ways in
 * beside its normal opening, one that reads all that a log holds and one that brings it in. The contract comes first;
 * `millrace/testing` holds every engine that offers them to it.
 *
 * Contents
 * - {@link LogContents} tells all that a log holds: topics with their options, records at their offsets, where places begin
 *   and end, every group's epoch, needs and state in every partition, and the ids that are remembered.
 * - What it tells does not change while nobody writes. Nothing of it is in memory as a whole: everything comes in portions.
 *
 * Exporting
 * - A log is opened for export only while nobody has it open or takes part in its groups; otherwise it is `LOG_IN_USE`, with
 *   `facts` that say who. One that is not there is `LOG_UNKNOWN`, and an unfinished import is `IMPORT_UNFINISHED`.
 * - `setMark` is durable before it resolves, and may be called again with the same mark when it was cut off. From then on every opening of the log is `LOG_MOVED`, and so is every write of a
 *   process that has it open nevertheless; reading may go on. Taking the mark away makes it an ordinary log again.
 * - A log that has a mark can be exported: the caller decides by the mark whether that makes sense.
 *
 * Importing
 * - Opening for import changes nothing yet and tells what is there; `begin` makes a log, or goes on with the import of the
 *   same id. Of two who import into one place at once, one gets `LOG_IN_USE`.
 * - Until `finish` has resolved the log is an import: every other opening of it is `IMPORT_UNFINISHED`. The import can be
 *   opened again after its process was killed at any moment, and tells what it has: what was acknowledged is there.
 * - The order is: topics; then place after place, all records of one before those of the next, ascending; then the claims;
 *   then the ids; then `finish`. What was brought in already may be brought in again where a method says so.
 * - Offsets, times and bytes are kept exactly, offsets that are skipped too. After `finish` a place begins and ends where
 *   its `ends` say, its next record gets an offset of at least `end` and a time of at least `lastTimeMs`, and the next epoch
 *   of a claim is above the one that was brought in.
 * - After `finish` an id that was brought in is refused or answered as a repeat, as long as it would have been before. An id
 *   counts from its own `timeMs`.
 * - `drop` removes an unfinished import with all that it has, so that nothing is there.
 */

/** A move of a log, as both of its ends note it. */
export interface Move {
  /** The same at both ends. */
  readonly id: string
  /** The URL of the other end, without a password. */
  readonly other: string
  /** Whether everything has been moved. */
  readonly finished: boolean
}

/** Where a place begins and ends. */
export interface PlaceEnds {
  /** The smallest offset that can be read; the first record may be behind it. */
  readonly start: Offset
  /** The next record will have at least this offset. */
  readonly end: Offset
  /** The next record will have at least this time; `-Infinity` when there has been none. */
  readonly lastTimeMs: number
}

/** One group's part in one partition number. */
export interface ClaimName {
  readonly group: string
  readonly partition: number
}

/** What is kept of a claim beside its state. */
export interface ClaimContents {
  /** At least the last epoch that was given; 0 when there was none. */
  readonly epoch: number
  /** For each topic, the lowest offset that the group needs. */
  readonly needs: Readonly<Record<string, Offset>>
}

/** An id that is remembered, and the record that it belongs to. */
export interface RememberedId extends Place {
  readonly offset: Offset
  /** When it was remembered, in milliseconds since 1970 UTC. */
  readonly timeMs: number
  /** Absent where the log has only a hash of it; then the record tells. */
  readonly deduplicationId?: string
}

/** A remembered id that is known. */
export type KnownId = RememberedId & { readonly deduplicationId: string }

/** Some of the remembered ids. */
export interface IdPage {
  /** In the order in which they were remembered; none when there are no more. */
  readonly ids: readonly RememberedId[]
  /** Where to go on. */
  readonly next: number
}

/** The bounds of one portion of a state. At least one value is given when there is one. */
export interface StateLimits {
  readonly values: number
  readonly bytes: number
}

/** All that a log holds. See the contract at the top of this file. */
export interface LogContents {
  readonly partitions: number
  /** All topics, sorted by name. */
  listTopics(): Promise<readonly Topic[]>
  ends(at: Place): Promise<PlaceEnds>
  /** As `read` of the log port. */
  read(at: Place, from: Offset, limits: ReadLimits): Promise<Batch>
  /** The names of all groups, sorted. */
  listGroups(): Promise<readonly string[]>
  claim(of: ClaimName): Promise<ClaimContents>
  /** Values of a claim's state whose keys come after `after`, in order of the bytes of their keys; none at the end. */
  state(of: ClaimName, after: string | undefined, limits: StateLimits): Promise<readonly KeyValue[]>
  /** At most `limit` remembered ids from a position on: 0 at first, later the `next` of a page. They may be too old to count. */
  ids(from: number, limit: number): Promise<IdPage>
  /** Lets go of the log; closing twice is fine. */
  close(): Promise<void>
}

/** A log that is being moved away. */
export interface LogExport extends LogContents {
  /** Where it is being moved, or was. */
  readonly mark: Move | undefined
  setMark(mark: Move | undefined): Promise<void>
}

/** How far a place has been brought in. */
export interface PlaceReached {
  /** Above the last record that is there; 0 when there is none. */
  readonly next: Offset
  /** Whether `endPlace` has resolved. */
  readonly ended: boolean
}

/** A log that is being brought in. Before `begin` only `found`, `origin`, `begin` and `close` may be called. */
export interface LogImport extends LogContents {
  /** What is there: nothing, an import that is not finished, or a log that normal openings take. */
  readonly found: 'nothing' | 'import' | 'log'
  /** Where the log came from; undefined for one that was not imported. */
  readonly origin: Move | undefined
  /**
   * Makes the log, or goes on with the import of the same id and partition count. Anything else that is there is
   * `LOG_OCCUPIED`.
   */
  begin(origin: Move, partitions: number): Promise<void>
  /** Creates a topic; one that is there with equal options is fine. */
  createTopic(topic: Topic): Promise<void>
  reached(at: Place): Promise<PlaceReached>
  /** Brings in records, which come after all that the place has; resolves once they are durable. */
  addRecords(at: Place, records: readonly StoredRecord[]): Promise<void>
  /** Says that the place is whole. May be said again. */
  endPlace(at: Place, ends: PlaceEnds): Promise<void>
  /** Whether `addClaim` has resolved for this claim. */
  hasClaim(of: ClaimName): Promise<boolean>
  /** Brings in a claim with its whole state, in order of the keys. What an earlier call that was cut off has left is replaced. */
  addClaim(of: ClaimName, contents: ClaimContents, state: AsyncIterable<readonly KeyValue[]>): Promise<void>
  /** The `next` of the last `addIds`; 0 when there was none. */
  idsReached(): Promise<number>
  /** Brings in ids, in the order in which they were remembered, and notes how far that is. */
  addIds(ids: readonly KnownId[], next: number): Promise<void>
  /** Makes it a log that normal openings take. */
  finish(): Promise<void>
  /** Removes an unfinished import; nothing else may be called afterwards but `close`. `LOG_OCCUPIED` for anything else. */
  drop(): Promise<void>
}

/** The log was moved, or is being moved. */
export function logMoved(where: string, { other, finished, id }: Move): MillraceError {
  const message = finished ? `This log was moved to '${other}'.` : `This log is being moved to '${other}'.`
  const fix = finished
    ? 'Start the application with that log.'
    : 'Run `millrace migrate` again to go on, or give it up with `millrace migrate --abandon`.'
  return new MillraceError('LOG_MOVED', message, { where, fix, facts: { to: other, finished, id } })
}

/** Not all of the log has been brought in. */
export function importUnfinished(where: string, { other, id }: Move): MillraceError {
  return new MillraceError(
    'IMPORT_UNFINISHED',
    `A log is being moved here from '${other}', and is not whole yet.`,
    {
      where,
      fix: 'Run `millrace migrate` again to go on, or give it up with `millrace migrate --abandon`.',
      facts: { from: other, id },
    },
  )
}

/** There is something already where a log is to be made. */
export function logOccupied(where: string, message = 'There is a log already.'): MillraceError {
  return new MillraceError('LOG_OCCUPIED', message, {
    where,
    fix: 'Name a place where there is nothing yet: another folder, database or schema.',
  })
}

/** There is no log to be read. */
export function logUnknown(where: string): MillraceError {
  return new MillraceError('LOG_UNKNOWN', 'There is no log.', {
    where,
    fix: 'Name the log as the application does that runs on it.',
  })
}

/** Somebody has the log open that is to be moved. */
export function stillInUse(
  where: string,
  who: string,
  facts: Readonly<Record<string, unknown>>,
): MillraceError {
  return new MillraceError('LOG_IN_USE', `The log is in use by ${who}.`, {
    where,
    fix: 'Stop every process of the application first, and try again.',
    facts,
  })
}
