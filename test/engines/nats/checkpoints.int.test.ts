import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { Catalog, subjectsOf } from '../../../src/engines/nats/catalog.ts'
import { Connection } from '../../../src/engines/nats/connection.ts'
import { Names } from '../../../src/engines/nats/names.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import { NatsServers } from '../../../src/engines/nats/nats-servers.ts'
import { Objects } from '../../../src/engines/nats/objects.ts'
import { readSettings } from '../../../src/engines/nats/settings.ts'
import { removeLog } from '../../../src/engines/nats/streams.ts'
import type { Checkpoint, Journal } from '../../../src/log/journal/log-servers.ts'
import type { Claim } from '../../../src/log/port.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { hasNats, NatsCluster, NatsServer } from './server.ts'

const runtime = realRuntime()
const claim = { group: 'shop', partition: 0 }
const other = { group: 'shop', partition: 1 }
const patiently = { timeout: 60_000 }
const dayMs = 24 * 60 * 60 * 1000
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString()

async function* inChunks(bytes: Uint8Array, chunkBytes = 100_000): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += chunkBytes) yield bytes.subarray(from, from + chunkBytes)
}

async function bytesOf(checkpoint: Checkpoint | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of checkpoint?.chunks ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** So many bytes in which nothing repeats. */
const manyBytes = (outputLength: number) => createHash('shake256', { outputLength }).update('').digest()

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const put = (journal: Journal, sequence: number, bytes: Uint8Array) =>
  journal.putCheckpoint({ sequence, chunks: inChunks(bytes) })

/** What a log has on its servers, as somebody else sees it. */
class Seen {
  readonly names: Names
  readonly connection: Connection

  private constructor(names: Names, connection: Connection) {
    this.names = names
    this.connection = connection
  }

  static async of(url: string): Promise<Seen> {
    const settings = readSettings(url)
    return new Seen(new Names(settings.log), await Connection.open(settings, runtime))
  }

  /** The names of the objects that are there, and under how many ids there is content. */
  async objects(): Promise<{ readonly names: readonly string[]; readonly contents: number }> {
    const { connection, names } = this
    const described = await subjectsOf(connection, names.objects, names.descriptions)
    const contents = await subjectsOf(connection, names.objects, names.contents())
    return {
      names: [...described.keys()].map((each) => names.objectAt(each)).sort(),
      contents: contents.size,
    }
  }

  async publish(subject: string, payload: Uint8Array): Promise<number> {
    const { connection } = this
    return (await connection.publish(subject, payload, connection.headers({}))).sequence
  }

  async journaled(): Promise<number> {
    const { connection, names } = this
    return (await subjectsOf(connection, names.journals, names.journal(claim))).get(names.journal(claim)) ?? 0
  }
}

describe.runIf(hasNats)('a checkpoint on NATS', () => {
  let server: NatsServer
  let proxy: CuttingProxy
  let url: string
  let servers: NatsServers
  let seen: Seen
  let journal: Journal

  beforeAll(async () => {
    server = await NatsServer.start({ configuration: 'max_payload: 65536' })
    proxy = await CuttingProxy.start(server.port)
  })

  afterAll(async () => {
    await proxy?.close()
    await server?.remove()
  })

  beforeEach(async () => {
    url = server.url()
    servers = await NatsServers.open(readSettings(url), { runtime, partitions: 2 })
    seen = await Seen.of(url)
    journal = servers.journal(claim)
  })

  afterEach(async () => {
    await servers.close()
    await seen.connection.close()
  })

  it('is in objects of its own, as large as it is, and those of the one before are removed', async () => {
    const [large, small] = [manyBytes(9_000_000), manyBytes(1000)]
    await put(journal, 5, large)
    await put(servers.journal(other), 7, small)
    const before = await seen.objects()
    expect(before.names).toHaveLength(4)
    expect(before.contents).toBe(4)
    expect(digestOf(await bytesOf(await journal.checkpoint()))).toBe(digestOf(large))
    await put(journal, 9, small)
    const { names, contents } = await seen.objects()
    expect(names.map((name) => name.replace(/-.*/, ''))).toEqual(['shop.0.9', 'shop.1.7'])
    expect(contents).toBe(2)
    const newest = await journal.checkpoint()
    expect(newest?.sequence).toBe(9)
    expect(digestOf(await bytesOf(newest))).toBe(digestOf(small))
    expect(digestOf(await bytesOf(await servers.journal(other).checkpoint()))).toBe(digestOf(small))
  })

  it('is never put in place of a newer one by an owner of before, who leaves nothing', async () => {
    await put(journal, 9, Buffer.from('newer'))
    const another = await NatsServers.open(readSettings(url), { runtime })
    for (const sequence of [5, 9]) await put(another.journal(claim), sequence, Buffer.from('older'))
    await another.close()
    expect((await seen.objects()).names).toHaveLength(1)
    const newest = await journal.checkpoint()
    expect(newest?.sequence).toBe(9)
    expect(text(await bytesOf(newest))).toBe('newer')
  })

  it('that could not be written leaves the one before, and nothing of itself', async () => {
    await put(journal, 5, Buffer.from('before'))
    async function* broken() {
      yield manyBytes(5_000_000)
      expect((await seen.objects()).names).toHaveLength(2)
      throw new Error('no luck')
    }
    await expect(journal.putCheckpoint({ sequence: 9, chunks: broken() })).rejects.toThrow('no luck')
    expect((await seen.objects()).names).toHaveLength(1)
    expect(text(await bytesOf(await journal.checkpoint()))).toBe('before')
  })

  it('takes away what somebody left who ended while putting one: objects at once, what is less a day later', async () => {
    const { connection, names } = seen
    await new Objects(connection, names, 1).put(`${names.objectsOf(claim)}3-abc.`, Buffer.from('left'))
    await seen.publish(names.contents('half'), Buffer.from('left'))
    await put(journal, 9, Buffer.from('newer'))
    expect(await seen.objects()).toMatchObject({
      names: [expect.stringMatching(/^shop\.0\.9-/)],
      contents: 2,
    })
    const tomorrow = { ...runtime, now: () => runtime.now() + dayMs + 1000 }
    const later = await NatsServers.open(readSettings(url), { runtime: tomorrow })
    await put(later.journal(other), 1, Buffer.from('other'))
    await later.close()
    expect((await seen.objects()).contents).toBe(2)
    expect(text(await bytesOf(await journal.checkpoint()))).toBe('newer')
  })

  it('that was changed is RECORD_CORRUPT', async () => {
    await put(journal, 9, manyBytes(200_000))
    const { connection, names } = seen
    const [content = ''] = (await subjectsOf(connection, names.objects, names.contents())).keys()
    await seen.publish(content, Buffer.from('more'))
    await expect(journal.checkpoint().then(bytesOf)).rejects.toMatchObject({ code: 'RECORD_CORRUPT' })
  })

  it('goes with the log', async () => {
    await put(journal, 9, Buffer.from('newest'))
    await removeLog(seen.connection, seen.names)
    const { streams } = await seen.connection.call<{ streams?: string[] | null }>('STREAM.NAMES')
    expect((streams ?? []).filter((name) => name.includes(readSettings(url).log))).toEqual([])
  })

  it('that was lost in part is not waited for without end', async () => {
    await put(journal, 9, manyBytes(200_000))
    const { connection, names } = seen
    const purge = (filter: string) => connection.call(`STREAM.PURGE.${names.objects}`, { filter })
    await purge(names.contents())
    const reading = journal.checkpoint().then(bytesOf)
    const readers = async () => {
      const info = await connection.call<{ state: { consumer_count: number } }>(
        `STREAM.INFO.${names.objects}`,
      )
      return info.state.consumer_count
    }
    await expect.poll(readers, patiently).toBeGreaterThan(0)
    await purge(names.descriptions)
    await expect(reading).rejects.toThrow('replaced')
  })

  it('is put and read as a whole where the connection is cut', async () => {
    const bytes = manyBytes(1_000_000)
    const cut = await NatsServers.open(readSettings(proxy.url(readSettings(url).log)), { runtime })
    try {
      let sequence = 0
      for (const kind of ['C', 'M']) {
        for (const when of ['before it is stored', 'before it is acknowledged'] as const) {
          proxy.cut = { subject: `$O.${seen.names.bucket}.${kind}`, when }
          await put(cut.journal(claim), ++sequence, bytes)
          expect(proxy.cut).toBeUndefined()
          expect((await seen.objects()).names).toHaveLength(1)
        }
      }
      proxy.cut = { subject: `$O.${seen.names.bucket}.C`, when: 'before it is delivered' }
      expect(digestOf(await bytesOf(await cut.journal(claim).checkpoint()))).toBe(digestOf(bytes))
      expect(proxy.cut).toBeUndefined()
    } finally {
      await cut.close()
    }
  })

  const value = Buffer.from('x'.repeat(20_000))
  const step = (index: number) => ({
    puts: [
      { key: `key-${index}`, value },
      { key: 'last', value: Buffer.from(String(index)) },
    ],
    deletes: [],
    appends: [],
  })

  /** Opens the log for one process more, and gives what a step of it works with. */
  async function joined(journalBytes?: number) {
    const engine = await openNats(url, { runtime, ...(journalBytes === undefined ? {} : { journalBytes }) })
    const claims: Claim[] = []
    await engine.join(claim.group, { id: runtime.id() }, (each) => claims.push(each))
    await expect.poll(() => claims.length, patiently).toBe(2)
    return { engine, claim: claims.find(({ partition }) => partition === 0) as Claim }
  }

  async function expectState(of: Claim, count: number): Promise<void> {
    const keys = Array.from({ length: count }, (_, index) => `key-${index}`)
    const values = await of.get(keys)
    expect(values.map((each) => each?.length)).toEqual(keys.map(() => value.length))
    expect(text((await of.get(['last']))[0])).toBe(String(count - 1))
  }

  it('is what another process begins with, along the journal behind it', async () => {
    const first = await joined(100_000)
    for (let index = 0; index < 40; index += 1) await first.claim.commit(step(index))
    await expect.poll(() => journal.checkpoint(), patiently).toBeDefined()
    await first.engine.close()
    expect(await seen.journaled()).toBeLessThan(40)
    const second = await joined()
    await expectState(second.claim, 40)
    await second.engine.close()
  })

  it('of a log of before is begun with, and the next one takes its place', async () => {
    const first = await joined(100_000)
    for (let index = 0; index < 40; index += 1) await first.claim.commit(step(index))
    await expect.poll(() => journal.checkpoint(), patiently).toBeDefined()
    await first.engine.close()
    const before = await writeAsBefore(await journal.checkpoint())
    const second = await joined(100_000)
    await expectState(second.claim, 40)
    for (let index = 40; index < 100; index += 1) await second.claim.commit(step(index))
    await expect.poll(async () => (await journal.checkpoint())?.sequence, patiently).toBeGreaterThan(before)
    await second.engine.close()
    const { connection, names } = seen
    const left = await subjectsOf(connection, names.journals, names.formerCheckpoint(claim))
    expect([...left.keys()]).toEqual([])
    const third = await joined()
    await expectState(third.claim, 100)
    await third.engine.close()
  })

  /** Stores a checkpoint in pieces behind the journals, as logs had it before there was an object store, and in no other way. */
  async function writeAsBefore(checkpoint: Checkpoint | undefined): Promise<number> {
    const { connection, names } = seen
    const { sequence, chunks } = checkpoint as Checkpoint
    const id = `${sequence}-abc`
    const sequences: number[] = []
    for await (const chunk of chunks) {
      for await (const piece of inChunks(chunk, 60_000)) {
        sequences.push(await seen.publish(names.formerCheckpoint(claim, id), piece))
      }
    }
    const note = { sequence, id, first: sequences[0], last: sequences.at(-1), pieces: sequences.length }
    const key = names.key('checkpoint', claim.group, String(claim.partition))
    await new Catalog(connection, names.catalog).change(key, () => note)
    await connection.call(`STREAM.DELETE.${names.objects}`)
    return sequence
  }
})

describe.runIf(hasNats)('a checkpoint on three NATS servers', () => {
  let cluster: NatsCluster

  beforeAll(async () => {
    cluster = await NatsCluster.start()
  })

  afterAll(() => cluster?.remove())

  it('is put and read while the server that leads the object store ends', async () => {
    const url = cluster.url()
    const servers = await NatsServers.open(readSettings(url), { runtime })
    const seen = await Seen.of(url)
    try {
      const journal = servers.journal(claim)
      await put(journal, 1, Buffer.from('first'))
      const { objects } = seen.names
      const { config } = await seen.connection.call<{ config: object }>(`STREAM.INFO.${objects}`)
      expect(config).toMatchObject({ num_replicas: 3, storage: 'file' })
      const bytes = manyBytes(5_000_000)
      const leader = await cluster.leaderOf(objects)
      async function* endingTheLeader() {
        yield bytes.subarray(0, 4_500_000)
        await leader.kill()
        yield bytes.subarray(4_500_000)
      }
      await journal.putCheckpoint({ sequence: 5, chunks: endingTheLeader() })
      expect(digestOf(await bytesOf(await journal.checkpoint()))).toBe(digestOf(bytes))
    } finally {
      await servers.close()
      await seen.connection.close()
    }
  })
})
