import { randomUUID } from 'node:crypto'
import { event, stream } from 'millrace'
import { benchApp, Measured, publisher, startOnCopy } from '../harness/bench-app.ts'
import { closedLoop, sample } from '../harness/load.ts'
import type { Row } from '../harness/row.ts'

const Appended = event('bench.appended', { schema: Measured.schema, key: ({ key }) => key })
const Measurements = stream('measurements', { events: [Appended] })
const withStream = benchApp({ streams: [Measurements] })

const row: Row = {
  name: 'append',
  what: 'append to 10,000 streams, expecting the version of each, 1,000 in flight',
  figures: [{ name: 'rate', unit: 'events/s' }],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(withStream, settings)
      const versions = new Map<string, number>()
      const prefix = randomUUID().slice(0, 8)
      // Each stream's turn comes again long after its last append was done.
      const call = async (n: number) => {
        const data = sample(n)
        const expectedVersion = versions.get(data.key) ?? 0
        const options = { id: `${prefix}${n}`, expectedVersion }
        const { version } = await running.append(Measurements, data.key, [{ type: Appended, data }], options)
        versions.set(data.key, version)
      }
      let from = 0
      const round = async () => {
        const measured = await closedLoop(call, { seconds: settings.seconds, from })
        from += measured.calls
        return measured
      }
      return { round, stop }
    },
  },
  peer: {
    what: 'millrace, publish',
    async start(settings) {
      const { running, stop } = await startOnCopy(withStream, settings)
      const publish = publisher(running)
      let from = 0
      const round = async () => {
        const measured = await closedLoop(publish, { seconds: settings.seconds, from })
        from += measured.calls
        return measured
      }
      return { round, stop }
    },
  },
}
export default row
