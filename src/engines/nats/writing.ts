import type { OriginMark, Position } from '../../log/journal/log-servers.ts'
import { behindHeaders, lastSequenceIn } from './catalog.ts'
import type { Acknowledged, Connection } from './connection.ts'
import { isAway, isUnheard, outcomeUnknown, Refused, refusals, unreachable } from './failures.ts'
import { decodeFrame, encodeFrame, type FramedRecord } from './frame.ts'
import type { KnownPlace, KnownPlaces } from './place.ts'
import type { Topics } from './topics.ts'

/** One message that is to be stored in a place. */
export interface Writing {
  readonly place: KnownPlace
  readonly subject: string
  readonly records: readonly FramedRecord[]
  /** What the servers know it again by; the writer's own name of it unless given. */
  readonly id?: string
  readonly position?: Position
  /** How far its origin has forwarded, where it is stored only behind that. */
  readonly after?: OriginMark
}

/** What the servers said. */
export interface Written extends Acknowledged {
  /** The writer's own name of the message. */
  readonly write: string
}

/** Stores messages, and again until it is known that they are. */
export class MessageWriter {
  readonly #connection: Connection
  readonly #places: KnownPlaces
  readonly #topics: Topics
  readonly #processId: string
  #count = 0

  constructor(connection: Connection, places: KnownPlaces, topics: Topics) {
    this.#connection = connection
    this.#places = places
    this.#topics = topics
    this.#processId = connection.runtime.id().replaceAll('-', '').slice(-10)
  }

  /** The most bytes that records take together in one message. */
  get maxRecordBytes(): number {
    return Math.min(this.#connection.maxPayloadBytes, mostMessageBytes) - headersBytes
  }

  /**
   * Resolves once the message is durable, or was found to be there; by then the place knows of it. Where servers are away it is sent
   * again, which stores it once. `TOPIC_UNKNOWN`, or `UNREACHABLE` when they stay away.
   */
  async write(writing: Writing): Promise<Written> {
    const { place, subject, records, position, after } = writing
    await this.#places.refresh(place)
    this.#count += 1
    const write = `${this.#processId}${this.#count.toString(36)}`
    const raised = raise(records, place.timeMs)
    const frame = { write, records: raised, ...(position === undefined ? {} : { position }) }
    const payload = encodeFrame(frame)
    const headers = this.#connection.headers({
      'Nats-Msg-Id': write,
      ...(after === undefined ? {} : behindHeaders(subject, after.revision, stateOf(after))),
      ...(writing.id === undefined ? {} : { 'Nats-Msg-Id': writing.id }),
    })
    let isInDoubt = false
    try {
      const { sequence, duplicate } = await this.#connection.bridge(async () => {
        try {
          return await this.#connection.publish(subject, payload, headers)
        } catch (error) {
          if (!isUnheard(error)) isInDoubt ||= isAway(error)
          else await this.#topics.check(place.known)
          throw error
        }
      })
      if (duplicate && writing.id !== undefined) return { sequence, duplicate, write }
      if (duplicate && after !== undefined && !(await this.#isOwn(place, sequence, write))) {
        throw new Refused({ code: 400, err_code: refusals.wrongLast, description: 'another was quicker' })
      }
      place.learn(sequence, frame, payload.length)
      return { sequence, duplicate: false, write }
    } catch (error) {
      const last = lastSequenceIn(error)
      // The message that it must stand behind may be its own, the answer to which was lost.
      if (isInDoubt && last !== undefined && (await this.#isOwn(place, last, write))) {
        place.learn(last, frame, payload.length)
        return { sequence: last, duplicate: false, write }
      }
      if (!isAway(error)) throw error
      throw (isInDoubt ? outcomeUnknown : unreachable)(this.#connection.where, error)
    }
  }

  async #isOwn(place: KnownPlace, sequence: number, write: string): Promise<boolean> {
    if (sequence === 0) return false
    const message = await this.#places.message(place, { seq: sequence })
    return message !== undefined && decodeFrame(message.data)?.write === write
  }
}

const mostMessageBytes = 1024 * 1024
/** Room for the headers of a message. */
const headersBytes = 512

function stateOf({ position }: OriginMark): string {
  return position === undefined ? '' : `~${position.sequence}.${position.index}`
}

/** Times of a place never fall. */
function raise(records: readonly FramedRecord[], fromMs: number): readonly FramedRecord[] {
  let highestMs = fromMs
  return records.map((record) => {
    if (record.timeMs >= highestMs) {
      highestMs = record.timeMs
      return record
    }
    return { ...record, timeMs: highestMs }
  })
}
