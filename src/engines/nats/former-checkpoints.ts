import type { ClaimName } from '../../log/journal/log-servers.ts'
import { subjectsOf } from './catalog.ts'
import type { Connection } from './connection.ts'
import type { Names } from './names.ts'
import { messagesThrough } from './scan.ts'

interface FormerParts {
  readonly connection: Connection
  readonly names: Names
}

/** Where a claim's newest checkpoint is in logs of before: in messages of the stream of the journals. */
export interface FormerNote {
  /** The journal sequence that it was put under. */
  readonly sequence: number
  readonly id: string
  /** The sequences of its first and its last piece. */
  readonly first: number
  readonly last: number
  readonly pieces: number
}

/** The bytes of such a checkpoint. */
export async function* formerChunks(
  { connection, names }: FormerParts,
  name: ClaimName,
  { id, first, last, pieces }: FormerNote,
): AsyncGenerator<Uint8Array> {
  if (pieces === 0) return
  const subject = names.formerCheckpoint(name, id)
  const at = { stream: names.journals, subject, from: first }
  const there = await connection.message(names.journals, { last_by_subj: subject })
  let count = 0
  if (there?.sequence === last) {
    for await (const { data } of messagesThrough(connection, at, last)) {
      count += 1
      yield data
    }
  }
  if (count !== pieces) throw new Error('this checkpoint was replaced while it was read')
}

/** Removes the pieces of a claim's checkpoints below a sequence, of whoever began to put them. */
export async function removeFormer(
  { connection, names }: FormerParts,
  name: ClaimName,
  newest: number,
): Promise<void> {
  const subjects = await subjectsOf(connection, names.journals, names.formerCheckpoint(name))
  for (const subject of subjects.keys()) {
    const sequence = Number.parseInt(subject.split('.').at(-1) ?? '', 10)
    if (sequence >= newest) continue
    await connection.call(`STREAM.PURGE.${names.journals}`, { filter: subject })
  }
}
