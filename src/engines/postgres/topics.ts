import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import type { Topic, TopicOptions } from '../../log/port.ts'
import type { Connection } from './connection.ts'
import type { Database } from './database.ts'
import { topicUnknown } from './failures.ts'

/** Creates a topic with all its places; one that exists with equal options is fine. */
export async function createTopic(
  database: Database,
  topic: Topic,
  partitions: number,
  channel: string,
): Promise<void> {
  const { name } = topic
  const options = JSON.stringify(topic.options)
  await database.transact(async (connection) => {
    const [made] = await connection.rows(
      'insert into topic (name, options) values ($1, $2) on conflict (name) do nothing returning id',
      [name, options],
    )
    if (made === undefined) return checkOptions(connection, name, JSON.parse(options))
    await connection.query(
      'insert into place (topic_id, partition) select $1::integer, p from generate_series(0, $2::integer - 1) as p',
      [made.id, partitions],
    )
    await connection.query('select pg_notify($1, $2)', [channel, 'topics'])
  })
}

async function checkOptions(connection: Connection, name: string, wanted: TopicOptions): Promise<void> {
  const [row] = await connection.rows('select options from topic where name = $1', [name])
  if (isDeepStrictEqual(JSON.parse(String(row?.options ?? '{}')), wanted)) return
  throw new MillraceError('TOPIC_CONFLICT', `Topic '${name}' exists with other options.`, {
    where: name,
    fix: 'Use the options that it was created with, or another name.',
    facts: { topic: name },
  })
}

/** All topics, sorted by name. */
export async function listTopics(database: Database): Promise<readonly Topic[]> {
  const rows = await database.read('topics', 'select name, options from topic', [])
  return rows
    .map(({ name, options }) => ({
      name: String(name),
      options: JSON.parse(String(options)) as TopicOptions,
    }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

/** Makes a topic unknown at once; its records are removed by {@link sweepDeleted}. Gives its number. */
export function deleteTopic(database: Database, name: string, channel: string): Promise<number> {
  return database.transact(async (connection) => {
    const [topic] = await connection.rows('select id from topic where name = $1 for update', [name])
    if (topic === undefined) throw topicUnknown(name)
    const { id } = topic
    // Whoever appends to it holds some of its places, and is waited for.
    const places = 'select 1 from place where topic_id = $1 order by partition for update'
    await connection.query(places, [id])
    await connection.query('insert into deleted_topic (id) values ($1)', [id])
    for (const table of ['place', 'need']) {
      await connection.query(`delete from ${table} where topic_id = $1`, [id])
    }
    await connection.query('delete from topic where id = $1', [id])
    await connection.query('select pg_notify($1, $2)', [channel, 'topics'])
    return Number(id)
  })
}

const removedAtOnce = 1000

/** Removes what deleted topics have left behind, a part at a time. */
export async function sweepDeleted(database: Database): Promise<void> {
  const topics = await database.read('deleted-topics', 'select id from deleted_topic', [])
  for (const { id } of topics) {
    const some = `delete from record_block where ctid = any (array(
      select ctid from record_block where topic_id = $1 limit ${removedAtOnce}))`
    while ((await database.transact((connection) => countOf(connection, some, id))) === removedAtOnce);
    await database.transact((connection) => connection.query('delete from deleted_topic where id = $1', [id]))
  }
}

async function countOf(connection: Connection, text: string, id: unknown): Promise<number> {
  const [row] = await connection.rows(
    `with gone as (${text} returning 1) select count(*) as count from gone`,
    [id],
  )
  return Number(row?.count)
}

/** Forgets ids that are too old or too many, some at a time; they count for nothing any more, so this only makes room. */
export async function sweepIdentities(
  database: Database,
  { windowMs, maxIds, nowMs }: { readonly windowMs: number; readonly maxIds: number; readonly nowMs: number },
): Promise<void> {
  const text = `with old as (
      select sequence from id_batch
      where sequence in (select sequence from id_batch order by sequence limit ${removedAtOnce})
        and (sequence <= (select id_count from log) - $1::bigint or at_ms + $2::double precision <= $3::double precision)
      for update skip locked
    ), gone as (
      delete from id_batch i using old where i.sequence = old.sequence returning 1
    ) select count(*) as count from gone`
  const some = async (connection: Connection) => {
    const [row] = await connection.rows(text, [maxIds, windowMs, nowMs])
    return Number(row?.count)
  }
  while ((await database.transact(some)) === removedAtOnce);
}
