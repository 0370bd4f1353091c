import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { benchApp, publisher, startOnCopy } from '../harness/bench-app.ts'
import { latencyFigures, oneByOne, sampleJson } from '../harness/load.ts'
import { cost, type Row } from '../harness/row.ts'

const row: Row = {
  name: 'publish-one',
  what: 'publish, one in flight',
  figures: [cost(2, 'ms', 'p50'), cost(2, 'ms', 'p99')],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp(), settings)
      const publish = publisher(running)
      let from = 0
      const call = async (n: number) => {
        await publish(n)
        return undefined
      }
      const round = async () => {
        const tookMs = await oneByOne(call, { seconds: settings.seconds, from })
        from += tookMs.length
        return { figures: latencyFigures(tookMs) }
      }
      return { round, stop }
    },
  },
  peer: {
    what: 'bare lmdb commit',
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
      const call = async (n: number) => {
        await store.put(n, Buffer.from(sampleJson(n)))
        return undefined
      }
      const round = async () => {
        const tookMs = await oneByOne(call, { seconds: settings.seconds, from })
        from += tookMs.length
        return { figures: latencyFigures(tookMs) }
      }
      const stop = async () => {
        await store.close()
        await rm(folder, { recursive: true, force: true })
      }
      return { round, stop }
    },
  },
}
export default row
