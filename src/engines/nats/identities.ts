import type { Appended, Entry } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import type { Connection } from './connection.ts'
import { idReused, isRefusal, refusals } from './failures.ts'
import { decodeFrame, offsetOf } from './frame.ts'
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
    const frame = message === undefined ? undefined : decodeFrame(message.data)
    const [record] = frame?.records ?? []
    // It was trimmed: where it was can only be told as far as its sequence says.
    if (message === undefined || frame === undefined || record === undefined) {
      return { kind: 'duplicate', appended: { ...place.appended(sequence, 0), duplicate: true } }
    }
    if (frame.write === write) return { kind: 'own' }
    const { windowMs, maxIds } = this.#options
    const isOver = record.timeMs <= this.#connection.runtime.now() - windowMs
    if (isOver || place.topicSequence - sequence >= maxIds) {
      return { kind: 'forgotten', id: `${idOf(entry.deduplicationId ?? '')}~${sequence}` }
    }
    if (compare && compareEvents(record.value, entry.value) !== 'same') throw idReused(entry as Entry)
    const partition = Number(message.subject.split('.')[4])
    const offset = offsetOf(sequence)
    return { kind: 'duplicate', appended: { topic: place.topic, partition, offset, duplicate: true } }
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
