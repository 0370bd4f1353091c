import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../../src/core/real-runtime.ts'
import { openTableFeed } from '../../../../src/engines/postgres/changes/open-table-feed.ts'
import type { RowChange, TableFeed } from '../../../../src/log/table-feed.ts'
import { hasPostgres, PostgresServer } from '../server.ts'
import { type Capture, poolOf } from './stock-table.ts'

const runtime = realRuntime()
const forEver = new AbortController().signal
const captures: readonly Capture[] = ['triggers', 'replication']

let server: PostgresServer
let pool: pg.Pool

beforeAll(async () => {
  if (!hasPostgres) return
  server = await PostgresServer.start(['wal_level=logical'])
  pool = poolOf(server.url())
}, 60_000)

afterAll(async () => {
  await pool?.end()
  await server?.remove()
})

function open(table: string, capture: Capture, more: Partial<Parameters<typeof openTableFeed>[0]> = {}) {
  const name = `test/${table}-${capture}`
  const database = server.url('feeds')
  return openTableFeed({ name, database, table, from: 'now', capture, position: undefined, runtime, ...more })
}

/** The next changes, as many as are asked for. */
async function take(feed: TableFeed, count: number): Promise<RowChange[]> {
  const changes: RowChange[] = []
  while (changes.length < count) {
    const batch = await feed.next(forEver)
    changes.push(...batch.changes)
    await feed.kept(batch.position)
  }
  return changes
}

/** Resolves once a feed is told of changes, so that those made from now on are among them. */
async function untilStreaming(table: string): Promise<void> {
  const text = `select exists (select 1 from pg_publication_tables p join pg_replication_slots s on s.slot_name = p.pubname
    join pg_stat_replication r on r.pid = s.active_pid and r.state = 'streaming' where p.tablename = $1::text) as streaming`
  await expect
    .poll(async () => (await pool.query(text, [table])).rows[0].streaming, { timeout: 20_000 })
    .toBe(true)
}

describe.runIf(hasPostgres)('a feed of a table', () => {
  it('gives the same values by triggers and by replication, and no number loses a digit', async () => {
    await pool.query(`create type mood as enum ('glad', 'sad')`)
    await pool.query(`create table everything (
      id bigint, part text, primary key (id, part), b boolean, i2 smallint, i4 integer, n numeric, r real, d double precision,
      t text, v varchar(10), c char(3), j json, jb jsonb, ts timestamp, tz timestamptz, dt date, tm time, iv interval,
      u uuid, by bytea, m mood, ia integer[], ba bigint[], na numeric[], ta text[], tza timestamptz[], ja jsonb[], ip inet, nothing text)`)
    const insert = `insert into everything values (9007199254740993, 'a "b"', true, -3, 7, 1.50, 0.1, 'NaN', E'line\\n"é"', 'v', 'c',
      '{"big": 9007199254740993, "list": [1, 2.5]}', '{"a": null}', '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+00', '2026-01-02',
      '03:04:05', '1 day 2 hours', '00000000-0000-0000-0000-000000000001', '\\x00ff', 'sad', '{1,null,3}', '{9007199254740993}',
      '{1.50}', '{"a b","c\\"d",null}', '{"2026-01-02 03:04:05+00"}', array['{"x": 9007199254740993}'::jsonb], '10.0.0.1', null)`
    const feeds = await Promise.all(captures.map((capture) => open('everything', capture)))
    const first = Promise.all(feeds.map((feed) => take(feed, 1)))
    await untilStreaming('everything')
    await pool.query(insert)
    const [byTriggers, byReplication] = (await first).flat()
    expect(byReplication?.after).toEqual(byTriggers?.after)
    expect(byReplication?.key).toBe('["9007199254740993","a "b""]'.replaceAll('"b"', '\\"b\\"'))
    expect(byTriggers?.key).toBe(byReplication?.key)
    expect(byTriggers?.after).toMatchObject({
      ...{
        id: '9007199254740993',
        b: true,
        i2: -3,
        i4: 7,
        n: '1.50',
        r: 0.1,
        d: 'NaN',
        ts: '2026-01-02T03:04:05.678',
      },
      ...{
        j: { big: '9007199254740993', list: [1, 2.5] },
        jb: { a: null },
        ba: ['9007199254740993'],
        na: ['1.50'],
      },
      ...{ by: '\\x00ff', m: 'sad', ia: [1, null, 3], ta: ['a b', 'c"d', null], nothing: null },
    })
    for (const feed of feeds) await feed.close()
  }, 60_000)

  it('gives what is truncated as rows that are gone by triggers; by replication it says that it cannot', async () => {
    await pool.query(`create table emptied (id integer primary key)`)
    const feeds = await Promise.all(captures.map((capture) => open('emptied', capture)))
    const all = Promise.all([take(feeds[0] as TableFeed, 4), take(feeds[1] as TableFeed, 3)])
    await untilStreaming('emptied')
    await pool.query('insert into emptied values (1), (2)')
    await pool.query('truncate emptied')
    const [byTriggers, byReplication] = await all
    expect(byTriggers.map(({ kind, key, before }) => [kind, key, before?.id])).toEqual([
      ['inserted', '1', undefined],
      ['inserted', '2', undefined],
      ['deleted', '1', 1],
      ['deleted', '2', 2],
    ])
    expect(byReplication[2]).toMatchObject({
      before: null,
      after: null,
      problem: expect.stringContaining('truncated'),
    })
    for (const feed of feeds) await feed.close()
  }, 60_000)

  it('gives a batch again for as long as its position is not kept, and never then', async () => {
    await pool.query('create table kept_once (id integer primary key)')
    for (const capture of captures) {
      await pool.query('truncate kept_once')
      const first = await open('kept_once', capture)
      const taken = first.next(forEver)
      if (capture === 'replication') await untilStreaming('kept_once')
      await pool.query('insert into kept_once values (1), (2)')
      const { changes, position } = await taken
      await first.close()
      const again = await open('kept_once', capture)
      expect((await again.next(forEver)).changes).toEqual(changes)
      await again.close()
      const behind = await open('kept_once', capture, { position })
      await pool.query('insert into kept_once values (3)')
      const rest = await take(behind, 3 - changes.length)
      expect([...changes, ...rest].map(({ key }) => key)).toEqual(['1', '2', '3'])
      await behind.close()
    }
  }, 60_000)

  it('gives a large transaction in parts, and goes on within it', async () => {
    await pool.query(`create table large (id integer primary key, text text)`)
    for (const capture of captures) {
      await pool.query('truncate large')
      const first = await open('large', capture)
      const batch = first.next(forEver)
      if (capture === 'replication') await untilStreaming('large')
      await pool.query(`insert into large select n, repeat('x', 100) from generate_series(1, 3000) as n`)
      const { changes, position } = await batch
      await first.close()
      expect(changes.length).toBeLessThan(3000)
      const second = await open('large', capture, { position })
      const rest = await take(second, 3000 - changes.length)
      expect([...changes, ...rest].map(({ key }) => Number(key))).toEqual(
        Array.from({ length: 3000 }, (_, index) => index + 1),
      )
      await second.close()
    }
  }, 60_000)

  it('lets the server forget its journal, also while only other tables are changed', async () => {
    await pool.query('create table quiet (id integer primary key)')
    await pool.query('create table busy (id integer primary key, text text)')
    const feed = await open('quiet', 'replication')
    const taking = take(feed, 1)
    await untilStreaming('quiet')
    await pool.query('insert into quiet values (1)')
    await taking
    await pool.query(`insert into busy select n, repeat('x', 1000) from generate_series(1, 3000) as n`)
    const { rows } = await pool.query('select pg_current_wal_lsn() as lsn')
    const text =
      'select bool_or(confirmed_flush_lsn >= $1::pg_lsn) as told from pg_replication_slots where active'
    await expect
      .poll(async () => (await pool.query(text, [rows[0].lsn])).rows[0].told, { timeout: 40_000 })
      .toBe(true)
    await feed.close()
  }, 60_000)

  it('is set up anew for another table of that name, and then its old position means nothing', async () => {
    await pool.query('create table again (id integer primary key)')
    const first = await open('again', 'triggers', { from: 'start' })
    await pool.query('insert into again values (1)')
    const { position } = await first.next(forEver)
    await first.close()
    await pool.query('drop table again')
    await pool.query('create table again (id integer primary key)')
    await pool.query('insert into again values (2)')
    const second = await open('again', 'triggers', { from: 'start', position })
    expect(await take(second, 1)).toMatchObject([{ kind: 'read', key: '2' }])
    await second.close()
  }, 60_000)

  it('leaves nothing behind when it is forgotten', async () => {
    await pool.query('create table left_alone (id integer primary key)')
    for (const capture of captures) {
      const feed = await open('left_alone', capture)
      await feed.close()
      const name = `test/left_alone-${capture}`
      await expect
        .poll(() => pool.query('select feeds_changes.forget($1)', [name]).then(() => true, String), {
          timeout: 20_000,
        })
        .toBe(true)
    }
    await pool.query('insert into left_alone values (1)')
    const { rows } = await pool.query(`select
      (select count(*) from pg_trigger where tgrelid = 'left_alone'::regclass)::integer as triggers,
      (select count(*) from pg_publication_tables where tablename = 'left_alone')::integer as publications,
      (select count(*) from feeds_changes.change where source like '%left_alone%')::integer as changes`)
    expect(rows).toEqual([{ triggers: 0, publications: 0, changes: 0 }])
  }, 60_000)

  it('of what cannot be followed is SOURCE_INVALID, and says why', async () => {
    await pool.query('create table without_key (id integer)')
    await pool.query('create table of_another (id integer primary key)')
    await pool.query('create role follower login')
    const refusals = [
      [() => open('nowhere', 'triggers'), 'There is no such table'],
      [() => open('without_key', 'triggers'), 'no primary key'],
      [
        () =>
          open('of_another', 'replication', {
            database: server.url('feeds').replace('postgres@', 'follower@'),
          }),
        'may not replicate',
      ],
    ] as const
    for (const [opening, why] of refusals) {
      await expect(opening()).rejects.toMatchObject({
        code: 'SOURCE_INVALID',
        message: expect.stringContaining(why),
      })
    }
    const plain = await PostgresServer.start()
    try {
      const clients = poolOf(plain.url(), 1)
      await clients.query('create table plain (id integer primary key)')
      await clients.end()
      await expect(open('plain', 'replication', { database: plain.url() })).rejects.toMatchObject({
        code: 'SOURCE_INVALID',
        message: expect.stringContaining('wal_level = replica'),
      })
    } finally {
      await plain.remove()
    }
  }, 60_000)
})
