import { drizzle } from 'drizzle-orm/node-postgres'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import knex from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import { type RunningApp, start } from 'millrace'
import type pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { administer } from '../administer.ts'
import { hasPostgres, PostgresServer } from '../server.ts'
import { AccountChanged, bank, changesIn, databaseOf, poolOn, untilMoved } from './order-table.ts'

/** A transaction of some client: publishes two events, and rolls back by throwing. */
type Within = (publish: (transaction: unknown) => Promise<void>) => Promise<unknown>

let server: PostgresServer
let log: string
let running: RunningApp
let pool: pg.Pool

beforeAll(async () => {
  if (!hasPostgres) return
  server = await PostgresServer.start()
  log = server.url()
  running = await start(bank, { log, partitions: 2 })
  pool = poolOn(log, 4)
}, 60_000)

afterAll(async () => {
  await running?.stop()
  await pool?.end()
  await server?.remove()
})

const onPg: Within = async (publish) => {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await publish(client)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

/** What every library calls a transaction. */
const clients: Readonly<Record<string, Within>> = {
  pg: onPg,
  postgres: async (publish) => {
    const sql = postgres(databaseOf(log), { max: 1, onnotice: () => undefined })
    await sql.begin((transaction) => publish(transaction)).finally(() => sql.end())
  },
  knex: async (publish) => {
    const database = knex({ client: 'pg', connection: databaseOf(log) })
    await database.transaction((transaction) => publish(transaction)).finally(() => database.destroy())
  },
  kysely: (publish) => {
    const database = new Kysely<object>({ dialect: new PostgresDialect({ pool }) })
    return database.transaction().execute((transaction) => publish(transaction))
  },
  'drizzle-orm on pg': (publish) => drizzle(pool).transaction((transaction) => publish(transaction)),
  'drizzle-orm on postgres': async (publish) => {
    const sql = postgres(databaseOf(log), { max: 1 })
    await drizzlePostgres(sql)
      .transaction((transaction) => publish(transaction))
      .finally(() => sql.end())
  },
  'query(text, values)': (publish) =>
    onPg((client) => {
      const { query } = client as pg.PoolClient
      return publish({
        query: (text: string, values: unknown[]) => Reflect.apply(query, client, [text, values]),
      })
    }),
}

describe.runIf(hasPostgres)('an event is published with the transaction', () => {
  it.for(Object.entries(clients))('of %s, and not without it', async ([name, within]) => {
    const publish = async (transaction: unknown, account: string) => {
      for (const nth of [1, 2]) {
        const published = await running.publishIn(transaction, AccountChanged, { account, nth })
        expect(published).toEqual({ topic: 'bank', partition: expect.any(Number), id: expect.any(String) })
      }
    }
    const rolledBack = within(async (transaction) => {
      await publish(transaction, `${name} rolled back`)
      throw new Error('rolled back')
    })
    await expect(rolledBack).rejects.toThrow('rolled back')
    await within((transaction) => publish(transaction, `${name} committed`))
    await untilMoved(pool, log)
    const changes = await changesIn(running.engine)
    expect(changes.get(`${name} committed`)).toEqual([1, 2])
    expect(changes.get(`${name} rolled back`)).toBeUndefined()
  })

  it('or a part of it: what a savepoint takes back is not published', async () => {
    await onPg(async (transaction) => {
      const client = transaction as pg.PoolClient
      await running.publishIn(client, AccountChanged, { account: 'savepoint', nth: 1 })
      await client.query('savepoint here')
      await running.publishIn(client, AccountChanged, { account: 'savepoint', nth: 2 })
      await client.query('rollback to savepoint here')
      await running.publishIn(client, AccountChanged, { account: 'savepoint', nth: 3 })
    })
    await untilMoved(pool, log)
    expect((await changesIn(running.engine)).get('savepoint')).toEqual([1, 3])
  })

  it('once for an id, however often it is published', async () => {
    for (let time = 0; time < 3; time += 1) {
      await onPg(async (transaction) => {
        await running.publishIn(transaction, AccountChanged, { account: 'same', nth: 1 }, { id: 'same' })
      })
    }
    await running.publish(AccountChanged, { account: 'same', nth: 1 }, { id: 'same' })
    await untilMoved(pool, log)
    expect((await changesIn(running.engine)).get('same')).toEqual([1])
  })

  it('and is handled when it is due, if it is delayed', async () => {
    await onPg(async (transaction) => {
      await running.publishIn(transaction, AccountChanged, { account: 'delayed', nth: 1 }, { delay: 200 })
    })
    await expect
      .poll(async () => (await changesIn(running.engine)).get('delayed'), { timeout: 10_000 })
      .toEqual([1])
  })
})

describe.runIf(hasPostgres)('what cannot be published in a transaction', () => {
  const data = { account: 'none', nth: 1 }

  it('does not match its schema: DATA_INVALID, and the transaction goes on', async () => {
    await onPg(async (transaction) => {
      const wrong = running.publishIn(transaction, AccountChanged, { account: 'none', nth: 0.5 })
      await expect(wrong).rejects.toMatchObject({ code: 'DATA_INVALID' })
      await (transaction as pg.PoolClient).query('select 1')
    })
  })

  it('is given no open transaction: a pool, and a client on which none was begun, are TRANSACTION_INVALID', async () => {
    const client = await pool.connect()
    const sql = postgres(databaseOf(log), { max: 1 })
    const withQuery = { query: (text: string, values: unknown[]) => client.query(text, values) }
    const database = new Kysely<object>({ dialect: new PostgresDialect({ pool }) })
    for (const given of [pool, client, withQuery, sql, database, drizzle(pool)]) {
      const published = running.publishIn(given, AccountChanged, data)
      await expect(published).rejects.toMatchObject({
        code: 'TRANSACTION_INVALID',
        fix: expect.stringContaining('begun'),
      })
    }
    await sql.end()
    client.release()
    for (const given of [undefined, 'sql', {}, { connect: () => undefined }]) {
      await expect(running.publishIn(given, AccountChanged, data)).rejects.toThrow(TypeError)
    }
  })

  it('is on another database, with a log of its own or without: TRANSACTION_INVALID', async () => {
    await administer(log, 'create database elsewhere')
    const other = log.replace('/postgres?', '/elsewhere?')
    for (const prepare of [async () => undefined, async () => (await start(bank, { log: other })).stop()]) {
      await prepare()
      const elsewhere = poolOn(other, 1)
      const client = await elsewhere.connect()
      await client.query('begin')
      const published = running.publishIn(client, AccountChanged, data)
      await expect(published).rejects.toMatchObject({
        code: 'TRANSACTION_INVALID',
        message: 'The transaction is not on the database of the log.',
      })
      client.release(true)
      await elsewhere.end()
    }
  }, 30_000)

  it('is of a role without rights: TRANSACTION_INVALID with the grants that it takes, which are enough', async () => {
    await administer(log, 'create role clerk login')
    const schema = new URL(log).searchParams.get('schema')
    const asClerk = (publish: (client: pg.PoolClient) => Promise<unknown>) =>
      onPg(async (transaction) => {
        const client = transaction as pg.PoolClient
        await client.query('set local role clerk')
        await publish(client)
      })
    const account = 'of the clerk'
    const refused: { fix?: string } = await asClerk((client) =>
      running.publishIn(client, AccountChanged, { account, nth: 1 }),
    ).then(
      () => ({}),
      (error) => error,
    )
    expect(refused).toMatchObject({ code: 'TRANSACTION_INVALID' })
    const grants = refused.fix?.match(/grant [^;.]+(\.\w+)? to ROLE/g) ?? []
    expect(grants).toHaveLength(3)
    await administer(log, ...grants.map((grant) => grant.replace('ROLE', 'clerk')))
    expect(grants.join()).toContain(`${schema}.outbox`)
    await asClerk((client) => running.publishIn(client, AccountChanged, { account, nth: 1 }))
    await untilMoved(pool, log)
    expect((await changesIn(running.engine)).get(account)).toEqual([1])
  })

  it('is on an engine that has no outbox: OUTBOX_ABSENT', async () => {
    const inMemory = await start(bank, { log: 'memory:' })
    const published = inMemory.publishIn(pool, AccountChanged, data)
    await expect(published).rejects.toMatchObject({ code: 'OUTBOX_ABSENT' })
    await inMemory.stop()
  })
})
