import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { Connection } from '../../../src/engines/nats/connection.ts'
import { exportNats } from '../../../src/engines/nats/export.ts'
import { importNats } from '../../../src/engines/nats/import.ts'
import { Names } from '../../../src/engines/nats/names.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import { NatsServers } from '../../../src/engines/nats/nats-servers.ts'
import { readSettings } from '../../../src/engines/nats/settings.ts'
import { changeMarks } from '../../../src/engines/nats/streams.ts'
import {
  decodeJournalValue,
  encodeCommit,
  encodeJournalEntry,
} from '../../../src/log/journal/journal-codec.ts'
import type { Claim, LogEngine } from '../../../src/log/port.ts'
import { hasNats, NatsServer } from './server.ts'

const runtime = realRuntime()
const at = { topic: 'orders', partition: 0 }
const mark = { id: 'move-1', other: 'elsewhere:', finished: false }
const value = new TextEncoder().encode('{"id":"1","source":"s","type":"t"}')
const noLimits = { records: 1e6, bytes: 1e9 }
const encoder = new TextEncoder()

describe.runIf(hasNats)('a log on NATS servers that is moved', () => {
  let server: NatsServer

  beforeAll(async () => {
    server = await NatsServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  const open = (url: string) => openNats(url, { runtime, partitions: 2 })
  const append = (engine: LogEngine) => engine.append([{ ...at, value, timeMs: runtime.now() }])

  it('refuses what a process publishes that did not hear of it, and lets it read', async () => {
    const url = server.url()
    const engine = await open(url)
    await engine.createTopic('orders', {})
    await append(engine)
    const settings = readSettings(url)
    const connection = await Connection.open(settings, runtime)
    const names = new Names(settings.log)
    await changeMarks(connection, names, { to: mark })
    const codeOf = () =>
      append(engine).then(
        () => undefined,
        (error: { readonly code: string }) => error.code,
      )
    await expect.poll(codeOf, { timeout: 5000 }).toBe('LOG_MOVED')
    expect((await engine.read(at, 0, noLimits)).records.length).toBeGreaterThan(0)
    await changeMarks(connection, names, { to: undefined })
    await expect.poll(codeOf, { timeout: 5000 }).toBeUndefined()
    await connection.close()
    await engine.close()
  })

  it('has what a killed owner had committed and not handed on, and no former owner commits', async () => {
    const url = server.url()
    const engine = await open(url)
    await engine.createTopic('orders', {})
    const claims: Claim[] = []
    await engine.join('makers', { id: 'one' }, (claim) => claims.push(claim))
    const claim = claims.find(({ partition }) => partition === 1)
    for (let n = 0; n < 20; n += 1) {
      const entry = { ...at, value, timeMs: runtime.now() }
      await claim?.commit({ puts: [{ key: `key-${n}`, value }], deletes: [], appends: [entry] })
    }
    await engine.close()
    await commitAndEnd(url)
    const log = await exportNats(url, { runtime })
    const { epoch } = await log.claim({ group: 'makers', partition: 1 })
    await log.setMark(mark)
    expect((await log.claim({ group: 'makers', partition: 1 })).epoch).toBeGreaterThan(epoch)
    const state = await log.state({ group: 'makers', partition: 1 }, undefined, { values: 99, bytes: 1e6 })
    expect(state).toHaveLength(21)
    const { start } = await log.ends(at)
    expect((await log.read(at, start, noLimits)).records).toHaveLength(21)
    await log.close()
  })

  it('takes a state of many values, which is more than one message has', { timeout: 60_000 }, async () => {
    const url = server.url()
    const log = await importNats(url, { runtime })
    await log.begin(mark, 2)
    const large = encoder.encode(JSON.stringify('x'.repeat(700)))
    const portions = async function* () {
      for (let from = 0; from < 6000; from += 1000) {
        yield Array.from({ length: 1000 }, (_, index) => {
          return { key: `state/h/c/${String(from + index).padStart(6, '0')}`, value: large }
        })
      }
    }
    await log.addClaim({ group: 'makers', partition: 0 }, { epoch: 7, needs: {} }, portions())
    await log.finish()
    await log.close()
    const engine = await open(url)
    const claims: Claim[] = []
    await engine.join('makers', { id: 'one' }, (claim) => claims.push(claim))
    const claim = claims.find(({ partition }) => partition === 0)
    expect(claim?.epoch).toBeGreaterThan(7)
    const all = await claim?.range({ from: 'state/', to: 'state0', limit: 10_000 })
    expect(all).toHaveLength(6000)
    await engine.close()
  })
})

/** Commits as an owner does that is killed before it hands on what the commit appends. */
async function commitAndEnd(url: string): Promise<void> {
  const name = { group: 'makers', partition: 1 }
  const servers = await NatsServers.open(readSettings(url), { runtime })
  const journal = servers.journal(name)
  const last = await journal.last()
  if (last === undefined) throw new Error('there is no journal')
  const { epoch, sequence, checksum, forwarded } = decodeJournalValue(last, name)
  const appends = [{ ...at, value, timeMs: runtime.now() }]
  const bytes = encodeCommit({ puts: [{ key: 'last', value }], deletes: [], appends, needs: {} })
  const entry = {
    ...{ kind: 'commit' as const, part: 0, parts: 1, bytes },
    ...{ epoch, previous: sequence, chain: checksum, forwarded },
  }
  expect(await journal.append(encodeJournalEntry(entry).value, sequence)).toMatchObject({ stored: true })
  await servers.close()
}
