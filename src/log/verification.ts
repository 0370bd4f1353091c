import type { Offset, Place } from './port.ts'

/** Something that a verification of a log has found. */
export interface Finding {
  /** What kind of thing it is, for programs: such as `record-damaged` or `cursor-invalid`. */
  readonly kind: string
  /** `damage`: something is lost or wrong. `leftover`: something is there that nothing uses, and that harms nothing. */
  readonly severity: 'damage' | 'leftover'
  /** The place: `topic/partition@offset`, `group/partition: key`, or a row of the catalog. */
  readonly where: string
  /** What is wrong, as a sentence. */
  readonly problem: string
  /** What to do about it, as a sentence. */
  readonly fix: string
}

/** How far a verification has come. */
export interface VerificationProgress {
  /** Rows that have been verified, of whatever kind. */
  readonly rows: number
  /** All rows that there are. */
  readonly totalRows: number
  /** Records among the rows that have been verified. */
  readonly records: number
  /** Values of claims' state among them. */
  readonly stateValues: number
  /** The stored bytes of what has been verified. */
  readonly bytes: number
  /** Known once all has been read. */
  readonly hashes?: LogHashes
}

/** What tells two logs apart: SHA-256 in hexadecimal, whatever order their topics and groups were made in. */
export interface LogHashes {
  /** Of every record, its topic, partition, offset, time and bytes. */
  readonly records: string
  /** Of what handlers keep: every value of their state, its group, partition and key. Equal for equal histories. */
  readonly state: string
}

/** A value of a claim's state whose checksum matches. */
export interface StateRow {
  readonly group: string
  readonly partition: number
  readonly key: string
  readonly value: Uint8Array
}

/** Whether a key of a claim's state is that of a value which a handler keeps. Who lays keys out knows. */
export type IsHandlerState = (key: string) => boolean

/** The bounds of a place that is being verified; undefined where the log has no such topic. */
export type BoundsOf = (at: Place) => { readonly start: Offset; readonly end: Offset } | undefined

/** Verifies what a value of a claim's state says. The engine knows keys and bytes only; who lays them out knows the rest. */
export type StateCheck = (row: StateRow, boundsOf: BoundsOf) => readonly Finding[]
