import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, nkeys } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ErrorCode, isMillraceError, type MillraceError } from '../../../src/core/errors.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { recordsAt } from '../records-at.ts'
import { hasNats, NatsServer } from './server.ts'

const runtime = realRuntime()
const at = { topic: 'orders', partition: 0 }
const limits = { records: 100, bytes: 10_000_000 }
const entry = (text: string) => ({ ...at, value: Buffer.from(text), timeMs: 1 })
const texts = (records: readonly { readonly value: Uint8Array }[]) =>
  records.map(({ value }) => Buffer.from(value).toString())

async function refused(code: ErrorCode, call: Promise<unknown>): Promise<MillraceError> {
  const [outcome] = await Promise.allSettled([call])
  if (outcome.status === 'rejected' && isMillraceError(outcome.reason, code)) return outcome.reason
  throw new Error(`expected ${code}, got ${JSON.stringify(outcome)}`, { cause: outcome })
}

/** All that an error says, of its causes too. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.stack} ${JSON.stringify(error)} ${wordsOf(error.cause)}`
}

describe.runIf(hasNats)('a log on NATS', () => {
  const servers: NatsServer[] = []
  const engines: LogEngine[] = []
  let server: NatsServer

  beforeAll(async () => {
    server = await NatsServer.start()
  }, 60_000)

  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close()
    for (const own of servers.splice(0)) await own.remove()
  })

  afterAll(() => server?.remove())

  async function started(options: Parameters<typeof NatsServer.start>[0]): Promise<NatsServer> {
    const own = await NatsServer.start(options)
    servers.push(own)
    return own
  }

  async function opened(
    url: string,
    options: Partial<Parameters<typeof openNats>[1]> = {},
  ): Promise<LogEngine> {
    const engine = await openNats(url, { runtime, partitions: 2, ...options })
    engines.push(engine)
    return engine
  }

  it('is UNREACHABLE where no server is', async () => {
    const error = await refused('UNREACHABLE', openNats('nats://ann:secret@127.0.0.1:1/log', { runtime }))
    expect(error.where).toBe('nats://127.0.0.1:1/log')
    expect(wordsOf(error)).not.toContain('secret')
  })

  it('is SERVER_UNSUPPORTED where JetStream is not enabled', async () => {
    const plain = await started({ jetStream: false })
    const error = await refused('SERVER_UNSUPPORTED', openNats(plain.url(), { runtime }))
    expect(error.fix).toContain('jetstream')
  })

  it('is SERVER_UNSUPPORTED where JetStream is not enabled for the account', async () => {
    const own = await started({
      configuration: `accounts {
        with { jetstream: enabled, users: [{ user: a, password: a }] }
        without { users: [{ user: b, password: b }] }
      }`,
    })
    await refused('SERVER_UNSUPPORTED', openNats(own.url().replace('//', '//b:b@'), { runtime }))
    await opened(own.url().replace('//', '//a:a@'))
  })

  it('takes the login of its URL, and never shows it', async () => {
    const own = await started({ configuration: 'authorization { user: ann, password: "s3cret/word" }' })
    const url = own.url('log')
    await opened(url.replace('//', '//ann:s3cret%2Fword@'))
    for (const login of ['ann:s3cret-other', 's3cret-token']) {
      const error = await refused('STORAGE_FAILED', openNats(url.replace('//', `//${login}@`), { runtime }))
      expect(error.message).toContain('login')
      expect(wordsOf(error)).not.toContain('s3cret')
    }
    const token = await started({ configuration: 'authorization { token: "s3cret" }' })
    await opened(token.url().replace('//', '//s3cret@'))
  })

  it('takes a file with the seed of an nkey, and says which file cannot be read', async () => {
    const user = nkeys.createUser()
    const own = await started({
      configuration: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
    })
    const file = join(own.folder, 'seed.nk')
    writeFileSync(file, `${Buffer.from(user.getSeed()).toString()}\n`)
    await opened(`${own.url()}?nkey=${file}`)
    const error = await refused('FILE_UNREADABLE', openNats(`${own.url()}?nkey=${file}.gone`, { runtime }))
    expect(error.where).toBe(`${file}.gone`)
  })

  it("is not made over a stream that is somebody else's", async () => {
    const client = await connect({ port: server.port })
    await (await jetstreamManager(client)).streams.add({ name: 'theirs_catalog', subjects: ['theirs'] })
    await client.close()
    const error = await refused('STORAGE_FAILED', openNats(server.url('theirs'), { runtime }))
    expect(error.facts).toEqual({ stream: 'theirs_catalog' })
  })

  it('takes events as large as the servers take messages', async () => {
    const own = await started({ configuration: 'max_payload: 20000' })
    const engine = await opened(own.url())
    await engine.createTopic('orders', {})
    const error = await refused('EVENT_TOO_LARGE', engine.append([entry('x'.repeat(20_000))]))
    const { maxBytes } = error.facts as { maxBytes: number }
    await engine.append([entry('x'.repeat(maxBytes))])
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => engine.append([entry(String(index).repeat(2000))])),
    )
    expect(await recordsAt(engine, at)).toHaveLength(51)
  })

  it('is LOG_FULL where the account has no room', async () => {
    const own = await started({
      configuration: `accounts { small {
        users: [{ user: a, password: a }]
        jetstream { max_file: 1000000 }
      } }`,
    })
    const engine = await opened(own.url().replace('//', '//a:a@'))
    await engine.createTopic('orders', {})
    const appending = (async () => {
      for (;;) await engine.append([entry('x'.repeat(50_000))])
    })()
    await refused('LOG_FULL', appending)
  })

  it('has a damaged record for RECORD_CORRUPT, stops before it, and goes on behind it', async () => {
    const log = server.newLog()
    const engine = await opened(server.url(log))
    await engine.createTopic('orders', {})
    await engine.append([entry('first')])
    const client = await connect({ port: server.port })
    const manager = await jetstreamManager(client)
    const [stream = ''] = await manager.streams.names(`${log}.topic.orders`).next()
    const config = (await manager.streams.info(stream)).config
    const subject = (config.subjects ?? [])[1]?.replace('>', '0.direct') ?? ''
    await jetstream(client).publish(subject, 'not a record')
    await client.close()
    await engine.append([entry('third')])
    const { records, next } = await engine.read(at, 0, limits)
    expect(texts(records)).toEqual(['first'])
    const error = await refused('RECORD_CORRUPT', engine.read(at, next, limits))
    const { offset } = error.facts as { offset: number }
    expect(texts((await engine.read(at, offset + 1, limits)).records)).toEqual(['third'])
  })

  it('is as it was when the server has ended and runs again, and calls wait for that', async () => {
    const own = await started({})
    const engine = await opened(own.url())
    await engine.createTopic('orders', {})
    await engine.append([entry('before')])
    const { end } = await engine.bounds(at)
    const news = engine.changed(new Map([[at, end]]), new AbortController().signal)
    await own.kill()
    const appending = engine.append([entry('meanwhile')])
    await own.run()
    await appending
    expect(await news).toEqual([at])
    expect(texts(await recordsAt(engine, at))).toEqual(['before', 'meanwhile'])
  }, 60_000)

  it('has its names told apart from those of other logs of the account, whatever they are', async () => {
    const [one, two] = [await opened(server.url('a')), await opened(server.url('a-b'))]
    const names = ['b', 'b.c', 'B', 'b/c', 'größe', '*', '>', '_2a', 'x'.repeat(300), `${'x'.repeat(299)}y`]
    for (const name of names) {
      await one.createTopic(name, {})
      await one.append([{ ...entry(name), topic: name }])
    }
    expect((await one.listTopics()).map(({ name }) => name)).toEqual([...names].sort())
    for (const topic of names)
      expect(texts((await one.read({ ...at, topic }, 0, limits)).records)).toEqual([topic])
    expect(await two.listTopics()).toEqual([])
  })
})
