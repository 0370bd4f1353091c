import { isDeepStrictEqual } from 'node:util'
import type {
  ClaimName,
  ForwardedEntry,
  Forwarding,
  OriginMark,
  Position,
} from '../../log/journal/log-servers.ts'
import type { Appended } from '../../log/port.ts'
import { type Catalog, subjectsOf } from './catalog.ts'
import type { Connection } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'
import { decodeFrame, framedSize, frameOverheadBytes, recordsPerMessage } from './frame.ts'
import type { Identities } from './identities.ts'
import { idOf, type Names, token } from './names.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'
import type { MessageWriter } from './writing.ts'

/** What forwarding works with. */
export interface ForwardingParts {
  readonly connection: Connection
  readonly names: Names
  readonly catalog: Catalog
  readonly places: KnownPlaces
  readonly identities: Identities
  readonly writer: MessageWriter
}

/**
 * Stores what claims forward to places. Every claim has a subject of its own in every place, and a message is stored behind the one that
 * the claim knows to be the last of it, or not at all. How far it has come stands in its last message there; and in the catalog, where that
 * message was removed or no message was stored because all it had were duplicates.
 */
export class OriginForwarding {
  readonly #parts: ForwardingParts

  constructor(parts: ForwardingParts) {
    this.#parts = parts
  }

  /** As `mark` of the servers' contract. */
  async mark(origin: ClaimName, place: KnownPlace): Promise<OriginMark> {
    const { names, places, catalog } = this.#parts
    const subject = names.origin(place.known, place.partition, origin)
    const message = await places.message(place, { last_by_subj: subject })
    // Whoever removes the message has noted it before.
    const noted = await catalog.get<Position>(this.#key(place, token(origin.group), String(origin.partition)))
    const position = message === undefined ? undefined : decodeFrame(message.data)?.position
    return { position: later(position, noted?.value), revision: message?.sequence ?? 0 }
  }

  /** As `forward` of the servers' contract. */
  async forward(
    origin: ClaimName,
    place: KnownPlace,
    entries: readonly ForwardedEntry[],
    after: OriginMark,
  ): Promise<Forwarding> {
    const appended: Appended[] = []
    let mark = after
    for (let from = 0; from < entries.length; ) {
      const together = this.#together(entries, from)
      try {
        const stored = await this.#store(origin, place, together, mark)
        appended.push(...stored.appended)
        mark = stored.mark
        from += together.length
      } catch (error) {
        if (!isRefusal(error, refusals.wrongLast)) throw error
        const now = await this.mark(origin, place)
        // Its last message was removed by a trim: it has come as far as before.
        const isAsFar = isDeepStrictEqual(now.position, mark.position) && now.revision !== mark.revision
        if (!isAsFar) return { stored: false, mark: now }
        mark = now
      }
    }
    const position = entries.at(-1)?.position
    if (position !== undefined && later(mark.position, position) !== mark.position) {
      await this.#note(this.#key(place, token(origin.group), String(origin.partition)), position)
      mark = { ...mark, position }
    }
    return { stored: true, appended, mark }
  }

  /** Notes how far claims have come whose last message in a place is below a sequence, and is about to be removed. */
  async noteMarks(place: KnownPlace, below: number): Promise<void> {
    const { connection, names, places } = this.#parts
    const origins = names.origins(place.known, place.partition)
    for (const subject of (await subjectsOf(connection, place.known.stream, origins)).keys()) {
      const last = await places.message(place, { last_by_subj: subject })
      const position = last === undefined ? undefined : decodeFrame(last.data)?.position
      if (last === undefined || position === undefined || last.sequence >= below) continue
      const [group = '', partition = ''] = subject.split('.').slice(-2)
      await this.#note(this.#key(place, group, partition), position)
    }
  }

  #key({ known, partition }: KnownPlace, group: string, origin: string): string {
    return this.#parts.names.key('mark', known.id, String(partition), group, origin)
  }

  async #note(key: string, position: Position): Promise<void> {
    await this.#parts.catalog.change<Position>(key, (before) => {
      return later(before, position) === before ? undefined : position
    })
  }

  /** What goes into the next message: one entry with an id, or as many as fit that have none. */
  #together(entries: readonly ForwardedEntry[], from: number): readonly ForwardedEntry[] {
    let room = this.#parts.writer.maxRecordBytes - frameOverheadBytes
    let to = from
    for (const { value, deduplicationId } of entries.slice(from, from + recordsPerMessage)) {
      room -= framedSize(value)
      if (to > from && (room < 0 || deduplicationId !== undefined)) break
      to += 1
      if (deduplicationId !== undefined) break
    }
    return entries.slice(from, to)
  }

  async #store(
    origin: ClaimName,
    place: KnownPlace,
    entries: readonly ForwardedEntry[],
    mark: OriginMark,
  ): Promise<{ readonly appended: readonly Appended[]; readonly mark: OriginMark }> {
    const { names, writer, identities } = this.#parts
    const { deduplicationId, value } = entries[0] as ForwardedEntry
    const { position } = entries.at(-1) as ForwardedEntry
    const subject = names.origin(place.known, place.partition, origin)
    for (let id = deduplicationId === undefined ? undefined : idOf(deduplicationId); ; ) {
      const { sequence, duplicate, write } = await writer.write({
        ...{ place, subject, records: entries, position, after: mark },
        ...(id === undefined ? {} : { id }),
      })
      const verdict = duplicate
        ? await identities.judge(
            place,
            { deduplicationId: deduplicationId ?? '', value, topic: place.topic, partition: place.partition },
            { sequence, write, compare: false },
          )
        : { kind: 'own' as const }
      if (verdict.kind === 'duplicate') return { appended: [verdict.appended], mark }
      if (verdict.kind === 'own') {
        const appended = entries.map((_, index) => place.appended(sequence, index))
        return { appended, mark: { position, revision: sequence } }
      }
      id = verdict.id
    }
  }
}

function later(one: Position | undefined, other: Position | undefined): Position | undefined {
  if (one === undefined || other === undefined) return one ?? other
  if (one.sequence !== other.sequence) return one.sequence > other.sequence ? one : other
  return one.index >= other.index ? one : other
}
