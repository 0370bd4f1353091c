import { randomUUID } from 'node:crypto'
import { AckPolicy, jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { on, start } from 'millrace'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { benchApp, Measured, publisher } from './bench-app.ts'
import { sample, sampleJson } from './load.ts'

/** What a process of a team does. */
export interface TeamMember {
  publish(n: number): Promise<unknown>
  /** How many events were handled in this process; absent where none are. */
  handled?(): number
  stop(): Promise<void>
}

/** What each process of a team can be, by name, on the server of a URL. */
export const teamMembers: Readonly<Record<string, (url: string) => Promise<TeamMember>>> = {
  'millrace-publish': publishOnly,
  'pg-publish': bareInserts,
  'millrace-handle': (url) => publishAndHandle(url, true),
  'millrace-handle-without-ids': (url) => publishAndHandle(url, false),
  'pg-boss-handle': sendAndWork,
  'jetstream-publish': bareMessages,
  'jetstream-handle': publishAndConsume,
}

/** A log of its own on the server of a URL. */
function logOn(url: string, name: string): string {
  return url.startsWith('nats:') ? `${url}/${name}` : `${url}?schema=${name}`
}

async function publishOnly(url: string): Promise<TeamMember> {
  const running = await start(benchApp({ topics: {} }), { log: logOn(url, 'publishing') })
  return { publish: publisher(running), stop: () => running.stop({ now: true }) }
}

async function publishAndHandle(url: string, withIds: boolean): Promise<TeamMember> {
  let handled = 0
  const count = on(Measured, { name: 'count', from: 'start' }, () => {
    handled += 1
  })
  const running = await start(benchApp({ handlers: [count], topics: {} }), { log: logOn(url, 'handling') })
  const publish = withIds ? publisher(running) : (n: number) => running.publish(Measured, sample(n))
  return { publish, handled: () => handled, stop: () => running.stop() }
}

/** The client used bare: a table of events with unique ids, as many rows in an insert as have come while the last one was under way. */
async function bareInserts(url: string): Promise<TeamMember> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`create table if not exists event (
    sequence bigint generated always as identity primary key, id text not null unique, key text not null, value text not null)`)
  const prefix = randomUUID().slice(0, 8)
  const insert = batched(async (numbers: readonly number[]) => {
    const columns = [
      numbers.map((n) => `${prefix}${n}`),
      numbers.map((n) => sample(n).key),
      numbers.map((n) => sampleJson(n)),
    ]
    const text = `insert into event (id, key, value) select * from unnest($1::text[], $2::text[], $3::text[])
      on conflict (id) do nothing`
    await client.query({ name: 'insert', text, values: columns })
  })
  return { publish: insert, stop: () => client.end() }
}

/** The client used bare: a message with an id for each event, into a stream of files that remembers ids as long as ours does. */
async function bareMessages(url: string): Promise<TeamMember> {
  const { publish, client } = await bareStream(url, 'publishing')
  return { publish, stop: () => client.close() }
}

/** As {@link bareMessages}, and a consumer that all processes share, which acknowledges each message by itself. */
async function publishAndConsume(url: string): Promise<TeamMember> {
  const { publish, client, manager, name } = await bareStream(url, 'handling')
  await manager.consumers.add(name, {
    durable_name: 'workers',
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 10_000,
  })
  const consumer = await jetstream(client).consumers.get(name, 'workers')
  let handled = 0
  const messages = await consumer.consume({
    max_messages: 1000,
    callback: (message) => {
      handled += 1
      message.ack()
    },
  })
  const stop = async () => {
    await messages.close()
    await client.close()
  }
  return { publish, handled: () => handled, stop }
}

async function bareStream(url: string, purpose: string) {
  const client = await connect({ servers: url.replace('nats://', '') })
  const manager = await jetstreamManager(client)
  const name = `bare-${purpose}`
  const windowNs = 10 * 60 * 1_000_000_000
  await manager.streams.add({ name, subjects: [name], storage: StorageType.File, duplicate_window: windowNs })
  const stream = jetstream(client)
  const encoder = new TextEncoder()
  const prefix = randomUUID().slice(0, 8)
  const publish = (n: number) => {
    return stream.publish(name, encoder.encode(sampleJson(n)), { msgID: `${prefix}${n}`, timeout: 30_000 })
  }
  return { publish, client, manager, name }
}

/** pg-boss with everything that makes it fast: jobs inserted in batches, told by notifications, fetched in full batches. */
async function sendAndWork(url: string): Promise<TeamMember> {
  const boss = new PgBoss({ connectionString: url, max: 10, useListenNotify: true })
  boss.on('error', () => undefined)
  await boss.start()
  await boss.createQueue('bench', { notify: true })
  let handled = 0
  const options = {
    batchSize: 500,
    localConcurrency: 2,
    burstWhenBatchFull: true,
    pollingIntervalSeconds: 0.5,
  }
  await boss.work('bench', options, async (jobs) => {
    handled += jobs.length
  })
  const insert = batched((numbers: readonly number[]) =>
    boss.insert(
      'bench',
      numbers.map((n) => ({ data: sample(n) })),
    ),
  )
  return { publish: insert, handled: () => handled, stop: () => boss.stop({ graceful: false }) }
}

/** Calls with all that has come while the last call was under way. */
function batched(call: (numbers: readonly number[]) => Promise<unknown>): (n: number) => Promise<void> {
  let waiting: {
    readonly n: number
    readonly resolve: () => void
    readonly reject: (error: unknown) => void
  }[] = []
  let running = false
  const run = async () => {
    running = true
    // Callers that were just answered come back first.
    for (let turn = 0; turn < 16; turn += 1) await undefined
    while (waiting.length > 0) {
      const taken = waiting
      waiting = []
      await call(taken.map(({ n }) => n)).then(
        () => taken.forEach(({ resolve }) => void resolve()),
        (error) => taken.forEach(({ reject }) => void reject(error)),
      )
      for (let turn = 0; turn < 16; turn += 1) await undefined
    }
    running = false
  }
  return (n) =>
    new Promise((resolve, reject) => {
      waiting.push({ n, resolve, reject })
      if (!running) void run()
    })
}
