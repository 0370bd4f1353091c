import type { Bounds, Place } from '../../log/port.ts'
import type { Row } from './connection.ts'
import type { Database } from './database.ts'
import { topicUnknown } from './failures.ts'

const boundsText = `select w.nth, p.start_offset, p.end_offset, p.appended_bytes, p.trimmed_bytes
  from unnest($1::text[], $2::integer[]) with ordinality as w (name, partition, nth)
  join topic t on t.name = w.name
  join place p on p.topic_id = t.id and p.partition = w.partition`

interface Asked {
  readonly at: Place
  resolve(bounds: Bounds): void
  reject(error: unknown): void
}

/** Turns of the microtask queue: enough for all who are woken by the same news to ask. */
const turnsToGather = 8

/** Reads bounds of places: what is asked at the same moment, as when news wakes every partition, is one question to the server. */
export class BoundsReader {
  readonly #database: Database
  #asked: Asked[] = []

  constructor(database: Database) {
    this.#database = database
  }

  /** The bounds of a place, as of after the call. `TOPIC_UNKNOWN` where there is no such topic. */
  read(at: Place): Promise<Bounds> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ at, resolve, reject })
      if (this.#asked.length === 1) this.#database.runtime.spawn('postgres bounds', () => this.#ask())
    })
  }

  async #ask(): Promise<void> {
    for (let turn = 0; turn < turnsToGather; turn += 1) await undefined
    const asked = this.#asked.splice(0)
    try {
      const places = [asked.map(({ at }) => at.topic), asked.map(({ at }) => at.partition)]
      const rows = await this.#database.read('bounds-of', boundsText, places)
      const byNth = new Map(rows.map((row) => [Number(row.nth), row]))
      for (const [index, { at, resolve, reject }] of asked.entries()) {
        const row = byNth.get(index + 1)
        if (row === undefined) reject(topicUnknown(at.topic))
        else resolve(boundsOf(row))
      }
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }
}

function boundsOf(row: Row): Bounds {
  return {
    start: Number(row.start_offset),
    end: Number(row.end_offset),
    bytes: Number(row.appended_bytes) - Number(row.trimmed_bytes),
  }
}
