import { randomUUID } from 'node:crypto'
import { benchApp, Measured, noop, startOnCopy } from '../harness/bench-app.ts'
import { closedLoop, sample } from '../harness/load.ts'
import { type Row, rate } from '../harness/row.ts'
import { handling } from './handle-beside-bullmq.ts'

const row: Row = {
  name: 'handle-hot-key',
  what: 'the same with one key having half of all events',
  figures: [rate(0.5)],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp({ handlers: [noop] }), settings)
      const prefix = randomUUID().slice(0, 8)
      let from = 0
      const publish = (n: number) => {
        const data = n % 2 === 0 ? { ...sample(n), key: 'hot' } : sample(n)
        return running.publish(Measured, data, { id: `${prefix}${n}` })
      }
      const round = async () => {
        const until = () => running.settled()
        const measured = await closedLoop(publish, { seconds: settings.seconds, from, until })
        from += measured.calls
        return measured
      }
      return { round, stop }
    },
  },
  peer: { ...handling, what: 'millrace, keys alike' },
}
export default row
