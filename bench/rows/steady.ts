import { benchApp, noop, publisher, startOnCopy } from '../harness/bench-app.ts'
import { closedLoop, quantile } from '../harness/load.ts'
import { cost, type Round, type Row, rate } from '../harness/row.ts'

const parts = 5

const row: Row = {
  name: 'steady',
  what: 'publish → handler → done, steady load, the last fifth of the time',
  figures: [rate(0.9), cost(1.5, 'ms', 'p99')],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp({ handlers: [noop] }), settings)
      const publish = publisher(running)
      let from = 0
      const fifth = async () => {
        const tookMs: number[] = []
        const call = async (n: number) => {
          const startedMs = performance.now()
          await publish(n)
          if (n % 16 === 0) tookMs.push(performance.now() - startedMs)
        }
        const seconds = settings.steadySeconds / parts
        const measured = await closedLoop(call, { seconds, from, until: () => running.settled() })
        from += measured.calls
        return { ...measured, figures: { ...measured.figures, p99: quantile(tookMs, 0.99) } }
      }
      const round = async (): Promise<Round> => {
        const first = await fifth()
        let last = first
        for (let part = 1; part < parts; part += 1) last = await fifth()
        return { ...last, beside: first.figures }
      }
      return { round, stop }
    },
  },
  peer: { what: 'the first fifth' },
  rounds: 1,
}
export default row
