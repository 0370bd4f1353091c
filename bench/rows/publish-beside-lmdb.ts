import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open } from 'lmdb'
import { benchApp, publisher, startOnCopy } from '../harness/bench-app.ts'
import { closedLoop, sampleJson } from '../harness/load.ts'
import { type Row, rate, type Side } from '../harness/row.ts'

/** Publishing, 1,000 in flight, into a log that holds a million events, with retention running. */
export const publishing: Side = {
  what: 'millrace',
  async start(settings) {
    const { running, stop } = await startOnCopy(benchApp(), settings)
    const publish = publisher(running)
    let from = 0
    const round = async () => {
      const measured = await closedLoop(publish, { seconds: settings.seconds, from })
      from += measured.calls
      return measured
    }
    return { round, stop }
  },
}

/** A put for each event that encodes the same JSON and a checksum, each fsynced before it resolves. */
export const bareStore: Side = {
  what: 'bare lmdb loop',
  async start(settings) {
    const folder = await mkdtemp(join(settings.folder, 'bare-'))
    const store = open({
      path: folder,
      encoding: 'binary',
      keyEncoding: 'uint32',
      overlappingSync: false,
      noSubdir: false,
    })
    let from = 0
    const put = (n: number) => {
      const json = Buffer.from(sampleJson(n))
      const value = Buffer.allocUnsafeSlow(4 + json.length)
      value.writeUInt32BE(crc32(json), 0)
      value.set(json, 4)
      return store.put(n, value)
    }
    for (; from < settings.prefill; from += 10_000) {
      const first = from
      await Promise.all(Array.from({ length: 10_000 }, (_, index) => put(first + index)))
    }
    const round = async () => {
      const measured = await closedLoop(put, { seconds: settings.seconds, from })
      from += measured.calls
      return measured
    }
    const stop = async () => {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    }
    return { round, stop }
  },
}

const row: Row = {
  name: 'publish-beside-lmdb',
  what: 'publish, 1,000 in flight',
  figures: [rate(0.7)],
  ours: publishing,
  peer: bareStore,
}
export default row
