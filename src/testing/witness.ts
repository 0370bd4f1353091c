import { type Event, event } from '../core/event.ts'
import type { Schema } from '../core/schema.ts'

/**
 * What every attempt emits twice, when it begins and when it is done: since an attempt's emits commit with its being
 * done or not at all, a witness in the log is proof of what committed, and in which order.
 */
export interface Witness {
  readonly phase: 'begun' | 'done'
  /** The attempt. */
  readonly nonce: string
  readonly handler: string
  /** The event that was handled. */
  readonly source: string
  readonly id: string
  readonly key: string
  /** The attempt that the state named as the last one before this, and how many there had been. */
  readonly previous: string | null
  readonly count: number
}

/** What the simulation keeps in every handler's state, for every key: the last attempt that committed, and their count. */
export interface Ledger {
  readonly last: string
  readonly count: number
}

/** The name of the {@link Ledger} in a handler's state. */
export const ledgerName = 'simulation'

/** The topic that witnesses are kept in. */
export const witnessTopic = 'simulation-witnesses'

function unchecked<T>(): Schema<T> {
  return {
    '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as T }) },
  }
}

/** The event type of a {@link Witness}. */
export const WitnessEvent = event('simulation.witness', {
  schema: unchecked<Witness>(),
  key: (witness) => witness.key,
  topic: witnessTopic,
})

/** The schema of the {@link Ledger}. */
export const ledgerSchema: Schema<Ledger | undefined> = unchecked<Ledger | undefined>()

/** The witness that an event of the log is; undefined for any other event. */
export function witnessOf(stored: Event): Witness | undefined {
  return stored.type === WitnessEvent.type ? (stored.data as Witness) : undefined
}
