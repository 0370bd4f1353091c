import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { closedLoop, sampleJson } from '../harness/load.ts'
import { type Row, rate } from '../harness/row.ts'
import { publishing } from './publish-beside-lmdb.ts'

const row: Row = {
  name: 'publish-beside-jetstream',
  what: 'publish, 1,000 in flight',
  figures: [rate(6)],
  ours: publishing,
  server: 'nats-server',
  weaker:
    'file storage; nats-server before 2.10 acknowledges before the fsync, which it does every two minutes, so a loss of power may lose what was acknowledged',
  peer: {
    what: 'JetStream, file storage',
    async start(settings) {
      const connection = await connect({ port: settings.ports['nats-server'] ?? 0 })
      const manager = await jetstreamManager(connection)
      await manager.streams.add({ name: 'bench', subjects: ['bench'], storage: 'file' })
      const stream = jetstream(connection)
      const encoder = new TextEncoder()
      let from = 0
      const publish = (n: number) => {
        return stream.publish('bench', encoder.encode(sampleJson(n)), { msgID: `e${n}`, timeout: 30_000 })
      }
      const round = async () => {
        const measured = await closedLoop(publish, { seconds: settings.seconds, from })
        from += measured.calls
        return measured
      }
      return { round, stop: () => connection.close() }
    },
  },
}
export default row
