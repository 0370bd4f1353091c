import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { benchApp, startOnCopy } from '../harness/bench-app.ts'
import { sampleJson } from '../harness/load.ts'
import { type Row, rate } from '../harness/row.ts'

const limits = { records: 1_024, bytes: 4 * 1024 * 1024 }

const row: Row = {
  name: 'read',
  what: 'read and parse a topic from the start',
  figures: [rate(0.7)],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp(), settings)
      const { engine } = running
      const round = async () => {
        const startedMs = performance.now()
        let events = 0
        for (let partition = 0; partition < engine.partitions; partition += 1) {
          const at = { topic: 'bench', partition }
          const { start: from, end } = await engine.bounds(at)
          for (let next = from; next < end; ) {
            const batch = await engine.read(at, next, limits)
            for (const { value } of batch.records) {
              const parsed = JSON.parse(
                Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString(),
              )
              if (parsed.type === 'bench.measured') events += 1
            }
            next = batch.next
          }
        }
        return { figures: { rate: (events * 1000) / (performance.now() - startedMs) } }
      }
      return { round, stop }
    },
  },
  peer: {
    what: 'bare lmdb scan with JSON.parse',
    async start(settings) {
      const folder = await mkdtemp(join(settings.folder, 'bare-'))
      const store = open<Buffer, number>({
        path: folder,
        encoding: 'binary',
        keyEncoding: 'uint32',
        overlappingSync: false,
        noSubdir: false,
      })
      for (let from = 0; from < settings.prefill; from += 10_000) {
        const put = (_: unknown, index: number) =>
          store.put(from + index, Buffer.from(sampleJson(from + index)))
        await Promise.all(Array.from({ length: Math.min(10_000, settings.prefill - from) }, put))
      }
      const round = async () => {
        const startedMs = performance.now()
        let events = 0
        for (const { value } of store.getRange()) {
          const parsed = JSON.parse(value.toString())
          if (parsed.type === 'bench.measured') events += 1
        }
        return { figures: { rate: (events * 1000) / (performance.now() - startedMs) } }
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
