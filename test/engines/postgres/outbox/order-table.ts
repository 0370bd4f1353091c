import { app, event } from 'millrace'
import pg from 'pg'
import { z } from 'zod'
import type { LogEngine } from '../../../../src/log/port.ts'

/** The `nth` change of an account, as its row counts them. */
export const AccountChanged = event('bank.account.changed', {
  schema: z.object({ account: z.string(), nth: z.int() }),
  key: (data) => data.account,
})

/** An application that only publishes. */
export const bank = app({ name: 'bank', events: [AccountChanged] })

export const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

/** The URL of the database of a log, for a client. */
export function databaseOf(log: string): string {
  return log.replace(/\?.*/, '')
}

/** Clients on the database of a log, in the schema of its tables' owner. */
export function poolOn(log: string, max: number): pg.Pool {
  return new pg.Pool({ connectionString: databaseOf(log), max })
}

/** Makes the table of accounts; each name is another table. */
export async function createAccounts(
  pool: pg.Pool,
  table: string,
  accounts: readonly string[],
): Promise<void> {
  await pool.query(`create table ${table} (account text primary key, nth integer not null default 0)`)
  await pool.query(`insert into ${table} (account) select unnest($1::text[])`, [accounts])
}

/** What the log says of each account: the numbers of its changes, in the order of the log. */
export async function changesIn(engine: LogEngine): Promise<Map<string, number[]>> {
  const changes = new Map<string, number[]>()
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    const { records } = await engine.read({ topic: 'bank', partition }, 0, noLimits)
    for (const { value } of records) {
      const { data } = JSON.parse(Buffer.from(value).toString()) as { data: { account: string; nth: number } }
      changes.set(data.account, [...(changes.get(data.account) ?? []), data.nth])
    }
  }
  return changes
}

/** Resolves once nothing waits in the outbox. */
export async function untilMoved(pool: pg.Pool, log: string): Promise<void> {
  const schema = new URL(log).searchParams.get('schema')
  for (;;) {
    const { rows } = await pool.query(`select count(*)::integer as count from ${schema}.outbox`)
    if (rows[0].count === 0) return
    await pool.query('select pg_sleep(0.02)')
  }
}
