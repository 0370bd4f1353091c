import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { app } from '../../../src/app/app.ts'
import { start } from '../../../src/app/start.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { silentLogger } from '../../../src/core/runtime.ts'
import { idOf } from '../../../src/engines/nats/names.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import { Copying } from '../copying.ts'
import { recordsAt } from '../records-at.ts'
import { soundNats, systemNats } from './programs.ts'
import { hasNats, NatsCluster } from './server.ts'

const partitions = 4

describe.runIf(hasNats)('processes that share a log on three servers', () => {
  let cluster: NatsCluster
  let copying: Copying
  let log: string

  beforeAll(async () => {
    cluster = await NatsCluster.start()
  }, 120_000)

  afterAll(() => cluster?.remove())

  beforeEach(async () => {
    log = cluster.newLog()
    const url = cluster.url(log)
    copying = await Copying.begin(await openNats(url, { runtime: realRuntime(), partitions }), url)
  }, 60_000)

  afterEach(() => copying.end())

  it('are warned, once each, of servers that lose what they have acknowledged, and of no others', async () => {
    const warnings: string[] = []
    const logger = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message) }
    const running = await start(app({ name: 'warned', handlers: [] }), { log: cluster.url(log), logger })
    await running.stop()
    const warning = expect.stringContaining('may lose events that they have acknowledged')
    expect(warnings).toEqual(systemNats()?.isSound === true ? [] : [warning])
  }, 60_000)

  it('share the partitions, and what one that is killed had is taken over in seconds', async () => {
    const first = copying.start()
    await first.until(() => first.owned === partitions)
    const second = copying.start()
    await second.until(() => second.owned === partitions / 2)
    await copying.publish(400)
    const publishing = copying.publish(400)
    await first.kill()
    await second.until(() => second.owned === partitions)
    await publishing
    await copying.expectCopiedOnce()
  }, 90_000)

  it('cannot write after a pause in which others took over, and take part again', async () => {
    const [paused, other] = [copying.start(), copying.start()]
    await paused.until(() => paused.owned === partitions / 2)
    await other.until(() => other.owned === partitions / 2)
    const publishing = copying.publish(600)
    paused.child.kill('SIGSTOP')
    await other.until(() => other.owned === partitions)
    await publishing
    await copying.publish(200)
    await copying.expectCopiedOnce()
    const before = paused.said.length
    paused.child.kill('SIGCONT')
    await paused.until((said) => said.slice(before).some((line) => line.startsWith('lost')))
    await paused.until(() => paused.owned === partitions / 2)
    await copying.publish(200)
    await copying.expectCopiedOnce()
    expect([...paused.said, ...other.said].filter((line) => line.startsWith('refused'))).toEqual([])
  }, 90_000)

  // They end while nothing is being written, and a leader is not paused: servers before 2.9.15 do not outlive that.
  it('go on when a server is killed that leads, is paused, or is stopped, and comes back', async () => {
    const both = [copying.start(), copying.start()]
    for (const copier of both) await copier.until(() => copier.owned === partitions / 2)
    const rounds = [
      { server: () => cluster.leaderOf(`${log}_topic_in`), end: 'kill' },
      { server: () => cluster.leaderOf(`${log}_journals`), end: 'kill' },
      { server: () => cluster.leaderOf(`${log}_topic_out`), end: 'stop' },
      { server: () => cluster.follower(), end: 'pause' },
      { server: () => cluster.leaderOf(`${log}_catalog`), end: 'stop' },
    ] as const
    for (const { server: serverOf, end } of rounds) {
      const server = await serverOf()
      await server[end]()
      await copying.publish(100)
      await copying.expectCopiedOnce()
      if (end === 'pause') server.resume()
      else await server.run()
      await cluster.ready()
      await copying.publish(20)
      await copying.expectCopiedOnce()
    }
    const refused = both.flatMap(({ said }) => said.filter((line) => line.startsWith('refused')))
    // An election may take longer than a call waits; who is told so has the partition anew.
    expect(refused.filter((line) => !line.startsWith('refused UNREACHABLE'))).toEqual([])
  }, 300_000)
})

describe.runIf(soundNats() !== undefined)(
  'processes that share a log on three servers of 2.9.15 or newer',
  () => {
    let cluster: NatsCluster

    beforeAll(async () => {
      cluster = await NatsCluster.start(soundNats())
    }, 120_000)

    afterAll(() => cluster?.remove())

    it('store what has the id of a message that the leader believes to be under way for good, as 2.10 may', async () => {
      const log = cluster.newLog()
      const engine = await openNats(cluster.url(log), { runtime: realRuntime(), partitions })
      try {
        await engine.createTopic('orders', {})
        const place = { topic: 'orders', partition: 0 }
        const append = (id: string) => {
          return engine.append([{ ...place, value: Buffer.from(id), timeMs: 1, deduplicationId: id }])
        }
        await append('first')
        await refuse(cluster, `${log}.topic.orders`, idOf('second'))
        const [appended] = await append('second')
        expect(appended?.duplicate).not.toBe(true)
        expect((await recordsAt(engine, place)).map(({ value }) => Buffer.from(value).toString())).toEqual([
          'first',
          'second',
        ])
      } finally {
        await engine.close()
      }
    }, 120_000)

    it('go on when a leader is killed, or paused until another one leads, while it is being written to', async () => {
      const log = cluster.newLog()
      const url = cluster.url(log)
      const copying = await Copying.begin(await openNats(url, { runtime: realRuntime(), partitions }), url)
      try {
        const both = [copying.start(), copying.start()]
        for (const copier of both) await copier.until(() => copier.owned === partitions / 2)
        const ends = [
          { stream: `${log}_topic_in`, end: 'pause' },
          { stream: `${log}_journals`, end: 'kill' },
          { stream: `${log}_topic_out`, end: 'pause' },
        ] as const
        for (const { stream, end } of ends) {
          const server = await cluster.leaderOf(stream)
          const publishing = new AbortController()
          const published = publishUntil(publishing.signal, copying)
          await copying.untilPublished(copying.published + 3 * atOnce)
          await server[end]()
          await cluster.leaves(stream, server)
          if (end === 'pause') server.resume()
          else await server.run()
          await copying.untilPublished(copying.published + 3 * atOnce)
          publishing.abort()
          await published
          await copying.expectCopiedOnce()
          await cluster.ready()
          expect(await differing(cluster)).toEqual([])
        }
      } finally {
        await copying.end()
      }
    }, 300_000)
  },
)

const atOnce = 20

async function publishUntil(signal: AbortSignal, copying: Copying): Promise<void> {
  while (!signal.aborted) await copying.publish(atOnce)
}

/** Sends a message of an id that cannot be stored, which 2.10 remembers all the same. */
async function refuse(cluster: NatsCluster, topic: string, id: string): Promise<void> {
  const client = await connect({ servers: cluster.servers.map(({ port }) => `127.0.0.1:${port}`) })
  const { streams } = await jetstreamManager(client)
  const [stream = ''] = await streams.names(topic).next()
  const [, records = ''] = (await streams.info(stream)).config.subjects ?? []
  const options = { msgID: id, expect: { lastSequence: 1000 } }
  const refused = jetstream(client).publish(records.replace('>', '0.direct'), 'none', options)
  await expect(refused).rejects.toThrow('wrong last sequence')
  await client.close()
}

/** The streams of which the servers have not the same messages. */
async function differing(cluster: NatsCluster): Promise<readonly string[]> {
  const found = await cluster.messagesByServer()
  return [...found].filter(([, counts]) => new Set(counts.values()).size > 1).map(([stream]) => stream)
}
