import { MillraceError, messageOf } from '../../../core/errors.ts'
import type { Entry, Outbox, RefusedEntry } from '../../../log/port.ts'
import type { LogIdentity } from '../schema.ts'
import { type ForeignTransaction, foreignTransaction } from './foreign-transaction.ts'

/** What an outbox is for. */
export interface OutboxOptions {
  readonly schema: string
  readonly channel: string
  readonly identity: LogIdentity
  readonly where: string
  /** Counts a call that begins, so that closing waits for it. */
  begin<T>(call: () => Promise<T>): Promise<T>
}

/** One parameter, of a type that every client sends as it is. */
function enterText(schema: string): string {
  return `with here as (
  select 1 from "${schema}".log l, pg_control_system() c, pg_database d
  where d.datname = current_database()
    and l.id::text || ' ' || d.oid::text || ' ' || c.system_identifier::text = $2::text
), entered as (
  insert into "${schema}".outbox (topic, partition, time_ms, deduplication_id, value)
  select e ->> 'topic', (e ->> 'partition')::integer, (e ->> 'timeMs')::double precision, e ->> 'id', decode(e ->> 'value', 'base64')
  from here, json_array_elements($1::text::json) with ordinality as w (e, nth)
  order by nth
  returning 1
)
select (select count(*) from entered)::integer as entered, count(pg_notify($3::text, 'outbox'))::integer as told`
}

/** The outbox of a log: a table beside it, which transactions of others write to. What it gets there this process does not keep. */
export class PostgresOutbox implements Outbox {
  readonly #options: OutboxOptions
  readonly #enterText: string
  /** Takes what the insert takes anyway, and is refused where no transaction is open. */
  readonly #lockText: string
  readonly #listeners: ((refused: RefusedEntry) => void)[] = []

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#enterText = enterText(options.schema)
    this.#lockText = `lock table "${options.schema}".outbox in row exclusive mode`
  }

  enter(transaction: unknown, entries: readonly Entry[]): Promise<void> {
    return this.#options.begin(async () => {
      const foreign = foreignTransaction(transaction)
      if (entries.length === 0) return
      const { identity, channel } = this.#options
      if (!foreign.isOpen) await this.#run(foreign, this.#lockText, [])
      const [row] = await this.#run(foreign, this.#enterText, [encode(entries), identity, channel])
      if (Number(row?.entered) !== entries.length) throw this.#elsewhere()
    })
  }

  onRefused(listener: (refused: RefusedEntry) => void): void {
    this.#listeners.push(listener)
  }

  /** Entries were refused, and that is durable. */
  refused(entries: readonly RefusedEntry[]): void {
    for (const entry of entries) for (const listener of this.#listeners) listener(entry)
  }

  async #run(foreign: ForeignTransaction, text: string, values: readonly string[]) {
    try {
      return await foreign.run(text, values)
    } catch (error) {
      const code = codeOf(error)
      if (code === noTransaction) throw this.#noTransaction(error)
      if (code === undefinedTable || code === undefinedSchema) throw this.#elsewhere(error)
      if (code === insufficientPrivilege) throw this.#notAllowed(error)
      throw error
    }
  }

  #elsewhere(cause?: unknown): MillraceError {
    return new MillraceError('TRANSACTION_INVALID', 'The transaction is not on the database of the log.', {
      where: this.#options.where,
      fix: 'Open the transaction on the database that the URL of the log names: one commit cannot be of two databases.',
      cause,
    })
  }

  #noTransaction(cause: unknown): MillraceError {
    return new MillraceError('TRANSACTION_INVALID', 'No transaction is open on what was given.', {
      where: this.#options.where,
      fix: 'Give the client on which you have begun the transaction, not a pool; or publish() where there is none.',
      cause,
    })
  }

  #notAllowed(cause: unknown): MillraceError {
    const { schema, where } = this.#options
    return new MillraceError(
      'TRANSACTION_INVALID',
      `The role of the transaction may not write to the outbox: ${messageOf(cause)}`,
      {
        where,
        fix: `As the owner of the schema: grant usage on schema ${schema} to ROLE; grant select on ${schema}.log to ROLE; grant insert on ${schema}.outbox to ROLE.`,
        cause,
      },
    )
  }
}

const noTransaction = '25P01'
const undefinedSchema = '3F000'
const undefinedTable = '42P01'
const insufficientPrivilege = '42501'

function codeOf(error: unknown): unknown {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  return typeof cause === 'object' && cause !== null && code === undefined ? codeOf(cause) : code
}

function encode(entries: readonly Entry[]): string {
  return JSON.stringify(
    entries.map(({ topic, partition, timeMs, value, deduplicationId }) => ({
      ...{ topic, partition, timeMs, id: deduplicationId },
      value: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
    })),
  )
}
