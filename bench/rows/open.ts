import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { start } from 'millrace'
import { benchApp, fill, noop } from '../harness/bench-app.ts'
import type { Row } from '../harness/row.ts'

const limitSeconds = 1

const row: Row = {
  name: 'open',
  what: 'open a log to ready',
  figures: [
    { name: 'time', unit: 's', goal: `< ${limitSeconds}`, isMet: (ours) => ours < limitSeconds },
    { name: 'events', unit: 'events' },
  ],
  ours: {
    what: 'millrace',
    async start(settings) {
      const folder = await mkdtemp(join(settings.folder, 'open-'))
      const log = `lmdb:${folder}`
      // Without retention, which would leave only a million of them.
      const subject = benchApp({ handlers: [noop], topics: {} })
      const filling = await start(benchApp({ topics: {} }), { log })
      await fill(filling, settings.openEvents)
      await filling.stop()
      const round = async () => {
        const startedMs = performance.now()
        const running = await start(subject, { log })
        const seconds = (performance.now() - startedMs) / 1000
        let events = 0
        for (let partition = 0; partition < running.engine.partitions; partition += 1) {
          const { start, end } = await running.engine.bounds({ topic: 'bench', partition })
          events += end - start
        }
        await running.stop()
        return { figures: { time: seconds, events } }
      }
      return { round, stop: () => rm(folder, { recursive: true, force: true }) }
    },
  },
  peer: { what: 'limit', limits: { time: limitSeconds, events: 10_000_000 } },
}
export default row
