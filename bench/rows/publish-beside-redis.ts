import { Redis } from 'ioredis'
import { closedLoop, sampleJson } from '../harness/load.ts'
import { type Row, rate } from '../harness/row.ts'
import { publishing } from './publish-beside-lmdb.ts'

const row: Row = {
  name: 'publish-beside-redis',
  what: 'publish, 1,000 in flight',
  figures: [rate(2.5)],
  ours: publishing,
  server: 'redis-server',
  weaker: 'as durable (appendfsync always); no schema, no deduplication, no checksum',
  peer: {
    what: 'Redis Streams, XADD',
    async start(settings) {
      const redis = new Redis({ port: settings.ports['redis-server'] ?? 0, enableAutoPipelining: true })
      let from = 0
      const add = (n: number) => redis.xadd('bench', '*', 'event', sampleJson(n))
      const round = async () => {
        const measured = await closedLoop(add, { seconds: settings.seconds, from })
        from += measured.calls
        return measured
      }
      const stop = async () => {
        await redis.quit()
      }
      return { round, stop }
    },
  },
}
export default row
