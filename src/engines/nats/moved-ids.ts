import type { Offset } from '../../log/port.ts'
import type { StoredMessage } from './connection.ts'

/** The token that stands where a partition does in the subjects of records. */
export const movedIdsToken = 'ids'

/** What a message says of an id that was moved here: the record that it stands for, and since when it is remembered. */
export interface MovedId {
  readonly partition: number
  readonly offset: Offset
  readonly timeMs: number
}

/** The message of an id, which the servers know by its header. */
export function encodeMovedId({ partition, offset, timeMs }: MovedId): Uint8Array {
  return Buffer.from(JSON.stringify({ partition, offset, timeMs }))
}

/** What a message says that is of an id; undefined for every other one. */
export function movedIdIn({ subject, data }: StoredMessage): MovedId | undefined {
  if (subject.split('.')[4] !== movedIdsToken) return undefined
  return JSON.parse(Buffer.from(data).toString()) as MovedId
}
