import { idReused } from '../../log/failures.ts'
import type { Appended, Entry } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import type { Connection } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'
import { decodeFrame } from './frame.ts'
import { type MovedId, movedIdIn } from './moved-ids.ts'
import { idOf } from './names.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'

/** What an id that the servers know already means for an entry. */
export type Verdict =
  | { readonly kind: 'own' }
  | { readonly kind: 'duplicate'; readonly appended: Appended }
  /** Its time is over by the clock of this process: the entry is stored under this id instead. */
  | { readonly kind: 'forgotten'; readonly id: string }

/** How long ids are remembered. */
export interface IdentityOptions {
  readonly windowMs: number
  readonly maxIds: number
}

/** No stream has this many messages, so what expects it is refused, unless its id is known: that is looked at first. */
const neverReached = String(Number.MAX_SAFE_INTEGER)

/**
 * Ids of entries, which the servers remember by the topic. They do so by their clocks, for as long as the window is or longer. An id
 * whose window is over by the clock here goes on under a name that follows from the record it stood for, which all
 * processes find in the same way.
 */
export class Identities {
  readonly #connection: Connection
  readonly #places: KnownPlaces
  readonly #options: IdentityOptions

  constructor(connection: Connection, places: KnownPlaces, options: IdentityOptions) {
    this.#connection = connection
    this.#places = places
    this.#options = options
  }

  /**
   * What it means that the servers have answered `id` with an earlier message. `ID_REUSED` when that has other content and the
   * entry is compared. `write` is the writer's own name of the message that was answered.
   */
  async judge(
    place: KnownPlace,
    entry: Pick<Entry, 'deduplicationId' | 'value' | 'topic' | 'partition'>,
    { sequence, write, compare }: { sequence: number; write?: string; compare: boolean },
  ): Promise<Verdict> {
    const message = await this.#places.message(place, { seq: sequence })
    const moved = message && movedIdIn(message)
    if (moved !== undefined) return await this.#judgeMoved(place, entry, { sequence, moved, compare })
    const frame = message === undefined ? undefined : decodeFrame(message.data)
    const [record] = frame?.records ?? []
    // It was trimmed: where it was can only be told as far as its sequence says.
    if (message === undefined || frame === undefined || record === undefined) {
      return { kind: 'duplicate', appended: { ...place.appended(sequence, 0), duplicate: true } }
    }
    if (frame.write === write) return { kind: 'own' }
    if (this.#isForgotten(place, sequence, record.timeMs)) {
      return { kind: 'forgotten', id: `${idOf(entry.deduplicationId ?? '')}~${sequence}` }
    }
    if (compare && compareEvents(record.value, entry.value) !== 'same') throw idReused(entry as Entry)
    const partition = Number(message.subject.split('.')[4])
    const { offset } = place.appended(sequence, 0)
    return { kind: 'duplicate', appended: { topic: place.topic, partition, offset, duplicate: true } }
  }

  #isForgotten(place: KnownPlace, sequence: number, timeMs: number): boolean {
    const { windowMs, maxIds } = this.#options
    const isOver = timeMs <= this.#connection.runtime.now() - windowMs
    return isOver || place.topicSequence - sequence >= maxIds
  }

  /** As {@link judge} for an id that was moved here: its record is elsewhere. */
  async #judgeMoved(
    place: KnownPlace,
    entry: Pick<Entry, 'deduplicationId' | 'value' | 'topic' | 'partition'>,
    about: { readonly sequence: number; readonly moved: MovedId; readonly compare: boolean },
  ): Promise<Verdict> {
    const { sequence, compare } = about
    const { partition, offset, timeMs } = about.moved
    if (this.#isForgotten(place, sequence, timeMs)) {
      return { kind: 'forgotten', id: `${idOf(entry.deduplicationId ?? '')}~${sequence}` }
    }
    const at = this.#places.at(place.known, partition)
    const message = await this.#places.messageFrom(at, await this.#places.sequenceOf(at, offset))
    const frame = message && decodeFrame(message.data)
    const value = frame?.records[offset - (frame.first ?? 0)]?.value
    if (compare && value !== undefined && compareEvents(value, entry.value) !== 'same') {
      throw idReused(entry as Entry)
    }
    return { kind: 'duplicate', appended: { topic: place.topic, partition, offset, duplicate: true } }
  }

  /**
   * Whether servers can be asked for an id without storing anything. Those of 2.10 and 2.11 that are a cluster take every id for one of a
   * message that is under way as soon as they hear it, also where they refuse the message.
   */
  get canFind(): boolean {
    const connection = this.#connection
    const keepsAll = connection.isAtLeast(2, 10) && !connection.isAtLeast(2, 12)
    return !keepsAll || connection.client.info?.cluster === undefined
  }

  /**
   * Looks for an entry's id without storing anything: the record that it stands for, or the name to store it under. `ID_REUSED`
   * when that record has other content.
   */
  async find(
    place: KnownPlace,
    entry: Entry & { readonly deduplicationId: string },
    subject: string,
  ): Promise<{ readonly appended: Appended } | { readonly id: string }> {
    let id = idOf(entry.deduplicationId)
    for (;;) {
      const headers = this.#connection.headers({
        'Nats-Msg-Id': id,
        'Nats-Expected-Last-Sequence': neverReached,
      })
      let sequence: number
      try {
        ;({ sequence } = await this.#connection.bridge(() =>
          this.#connection.publish(subject, empty, headers),
        ))
      } catch (error) {
        if (isRefusal(error, refusals.wrongLast)) return { id }
        throw error
      }
      const verdict = await this.judge(place, entry, { sequence, compare: true })
      if (verdict.kind === 'duplicate') return verdict
      if (verdict.kind === 'own') return { id }
      id = verdict.id
    }
  }
}

const empty = new Uint8Array()
