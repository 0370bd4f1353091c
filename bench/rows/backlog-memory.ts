import { on } from 'millrace'
import { benchApp, fill, Measured, startOnCopy } from '../harness/bench-app.ts'
import { anonymousMegabytes } from '../harness/machine.ts'
import type { Row } from '../harness/row.ts'

const limitMegabytes = 200
const flatMegabytes = 20

const slow = on(
  Measured,
  { name: 'slow', from: 'now' },
  (_event, { signal }) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1_000)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    }),
)

const row: Row = {
  name: 'backlog-memory',
  what: 'anonymous memory, events behind a slow handler',
  figures: [
    { name: 'peak', unit: 'MB', goal: `< ${limitMegabytes}`, isMet: (ours) => ours < limitMegabytes },
    {
      name: 'growth in the second half',
      unit: 'MB',
      goal: `< ${flatMegabytes}`,
      isMet: (ours) => ours < flatMegabytes,
    },
    { name: 'events', unit: 'events' },
  ],
  ours: {
    what: 'millrace',
    // docs/performance.md says what each of them saves.
    nodeOptions: ['--max-semi-space-size=4', '--heap-growing-percent=30'],
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp({ handlers: [slow] }), settings)
      const round = async () => {
        const megabytes: number[] = []
        await fill(running, settings.backlog, () => megabytes.push(anonymousMegabytes()))
        const half = Math.floor(megabytes.length / 2)
        const peak = Math.max(...megabytes)
        const growth = Math.max(...megabytes.slice(half)) - Math.max(...megabytes.slice(0, half + 1))
        const figures = { peak, 'growth in the second half': growth, events: settings.backlog }
        return { figures }
      }
      return { round, stop }
    },
  },
  peer: {
    what: 'limit',
    limits: { peak: limitMegabytes, 'growth in the second half': flatMegabytes, events: 5_000_000 },
  },
  rounds: 1,
}
export default row
