// Publishing and handling on the embedded log beside a bare loop on the same store, interleaved: npm run bench
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open } from 'lmdb'
import { app, event, on, type RunningApp, start } from 'millrace'
import { z } from 'zod'

const rounds = 5
const events = 50_000
const inFlight = 1_000
const keys = 10_000
const pad = 'x'.repeat(120)

const Measured = event('bench.measured', {
  schema: z.object({ key: z.string(), n: z.int(), pad: z.string() }),
  key: ({ key }) => key,
})
const noop = on(Measured, { name: 'noop' }, () => {})
const publishing = app({ name: 'bench', events: [Measured] })
const handling = app({ name: 'bench', handlers: [noop] })

/** Calls `work` for every number, with so many in flight; gives calls a second. */
async function rate(work: (n: number) => Promise<unknown>, until: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < events) await work(next++)
    }),
  )
  await until()
  return (events / (performance.now() - startedMs)) * 1000
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  try {
    return await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The limit: a put for each event that encodes the same JSON and a checksum, each fsynced before it resolves. */
const bare = () =>
  inFolder(async (path) => {
    const store = open({ path, encoding: 'binary', keyEncoding: 'uint32', overlappingSync: false })
    const put = (n: number) => {
      const value = Buffer.from(JSON.stringify({ ...sample, data: { key: `k${n % keys}`, n, pad } }))
      return store.put(n, Buffer.concat([Buffer.from(crc32(value).toString(16)), value]))
    }
    const measured = await rate(put, async () => {})
    await store.close()
    return measured
  })

const sample = {
  specversion: '1.0',
  id: '01a1fd3c-f5ec-752d-9118-6caeb69a409f',
  source: 'bench',
  type: Measured.type,
  time: '2026-01-01T00:00:00.000Z',
  partitionkey: 'k1',
}

const ours = (subject: typeof publishing, until: (running: RunningApp) => Promise<void>) => () =>
  inFolder(async (folder) => {
    const running = await start(subject, { log: `lmdb:${folder}` })
    const publish = (n: number) => running.publish(Measured, { key: `k${n % keys}`, n, pad }, { id: `e${n}` })
    const measured = await rate(publish, () => until(running))
    await running.stop()
    return measured
  })

const rows = {
  'bare lmdb: encode, checksum, put': bare,
  'publish, validated and deduplicated': ours(publishing, async () => {}),
  'publish and handle, no-op': ours(handling, (running) => running.settled()),
}

const measured = new Map<string, number[]>(Object.keys(rows).map((name) => [name, []]))
for (let round = 0; round < rounds; round += 1) {
  for (const [name, run] of Object.entries(rows)) measured.get(name)?.push(await run())
}
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const limit = median(measured.get('bare lmdb: encode, checksum, put') ?? [])
console.log(
  `${events} events of about 300 bytes, ${inFlight} in flight, each fsynced; ${cpus().length} cores; medians of ${rounds}`,
)
for (const [name, values] of measured) {
  const rate = median(values)
  console.log(
    `${name.padEnd(36)} ${Math.round(rate).toLocaleString('en-US').padStart(9)}/s  ${(rate / limit).toFixed(2)}`,
  )
}
