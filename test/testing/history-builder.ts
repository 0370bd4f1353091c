import type { Event } from '../../src/core/event.ts'
import type { Attempt, History, LoggedRecord } from '../../src/testing/history.ts'
import { type Witness, WitnessEvent, witnessTopic } from '../../src/testing/witness.ts'

/** Writes histories by hand, for tests of what judges them. */
export class HistoryBuilder {
  readonly log: LoggedRecord[] = []
  readonly attempts: Attempt[] = []
  readonly #ends = new Map<string, number>()
  #order = 0

  /** Appends an event of one key to a topic. */
  append(topic: string, event: Partial<Event> & Pick<Event, 'id' | 'type'>): LoggedRecord {
    const offset = this.#ends.get(topic) ?? 0
    this.#ends.set(topic, offset + 1)
    const record: LoggedRecord = {
      topic,
      partition: 0,
      offset,
      step: this.log.length,
      event: {
        specversion: '1.0',
        source: 'shop',
        time: '2026-01-01T00:00:00.000Z',
        partitionkey: 'k',
        data: null,
        ...event,
      },
    }
    this.log.push(record)
    return record
  }

  /** An attempt of the handler on an event, that has ended. */
  attempt(record: LoggedRecord, changes: Partial<Attempt> = {}): Attempt {
    const beganAt = this.#order + 1
    this.#order += 2
    const { source, id, type, partitionkey: key = '' } = record.event
    const attempt: Attempt = {
      nonce: `a${this.attempts.length}`,
      handler: 'pack',
      process: 'p1.1',
      claim: 1,
      source,
      id,
      type,
      key,
      silent: false,
      redriven: false,
      beganAt,
      endedAt: beganAt + 1,
      outcome: 'returned',
      emits: [],
      once: [],
      ...changes,
    }
    this.attempts.push(attempt)
    return attempt
  }

  /** A witness of an attempt. */
  witness(attempt: Attempt, phase: Witness['phase'], count: number, previous: string | null): LoggedRecord {
    const { nonce, handler, source, id, key } = attempt
    return this.append(witnessTopic, {
      id: `${nonce}-${phase}-${this.log.length}`,
      type: WitnessEvent.type,
      causationid: id,
      data: { nonce, handler, source, id, key, phase, count, previous } satisfies Witness,
    })
  }

  /** The history of what was written so far. */
  history(changes: Partial<History> = {}): History {
    return {
      subscriptions: [
        {
          handler: 'pack',
          kind: 'on',
          types: ['shop.placed'],
          fromStart: true,
          silent: false,
          whenExhausted: 'skip',
        },
      ],
      acknowledged: [],
      attempts: this.attempts,
      log: this.log,
      deadLetters: [],
      parked: [],
      ledgers: [],
      cursors: [],
      endedMs: 1_000,
      ...changes,
    }
  }
}

/** A sound history: three events of one key, the first handled at its second attempt, each emitting one other. */
export function soundHistory(): { builder: HistoryBuilder; placed: LoggedRecord[]; history: History } {
  const builder = new HistoryBuilder()
  const placed = ['e1', 'e2', 'e3'].map((id) => builder.append('shop', { id, type: 'shop.placed' }))
  let previous: string | null = null
  for (const [index, record] of placed.entries()) {
    if (index === 0) builder.attempt(record, { outcome: 'threw', once: [{ name: 'label', run: 'a0' }] })
    const attempt = builder.attempt(record, {
      emits: [{ type: 'shop.packed' }],
      once: [{ name: 'label', run: index === 0 ? 'a0' : `r${index}` }],
    })
    builder.witness(attempt, 'begun', index + 1, previous)
    builder.append('shop', {
      id: `packed-${record.event.id}`,
      type: 'shop.packed',
      causationid: record.event.id,
    })
    builder.witness(attempt, 'done', index + 1, previous)
    previous = attempt.nonce
  }
  const last = builder.log.length
  return {
    builder,
    placed,
    history: builder.history({
      acknowledged: placed.map(({ topic, partition, offset, event: { id, source } }) => ({
        topic,
        partition,
        offset,
        id,
        source,
        dueMs: undefined,
      })),
      ledgers: [{ handler: 'pack', key: 'k', last: previous ?? undefined, count: 3 }],
      cursors: [{ handler: 'pack', topic: 'shop', partition: 0, cursor: 3, done: [], held: [], step: last }],
    }),
  }
}
