import { every } from 'millrace'
import { benchApp, noop, startOnCopy } from '../harness/bench-app.ts'
import type { Row } from '../harness/row.ts'

const limitPercent = 1

const row: Row = {
  name: 'idle',
  what: 'idle, of one core',
  figures: [{ name: 'share', unit: '%', goal: `< ${limitPercent}`, isMet: (ours) => ours < limitPercent }],
  ours: {
    what: 'millrace, 16 partitions, a handler, a schedule',
    async start(settings) {
      const nightly = every('0 3 * * *', { name: 'nightly' }, () => {})
      const { running, stop } = await startOnCopy(benchApp({ handlers: [noop, nightly] }), settings)
      await running.settled()
      const round = async () => {
        const before = process.cpuUsage()
        const startedMs = performance.now()
        await new Promise((resolve) => setTimeout(resolve, settings.idleSeconds * 1000))
        const { user, system } = process.cpuUsage(before)
        return { figures: { share: (user + system) / 10 / (performance.now() - startedMs) } }
      }
      return { round, stop }
    },
  },
  peer: { what: 'limit', limits: { share: limitPercent } },
  rounds: 1,
}
export default row
