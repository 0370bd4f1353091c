import { on } from 'millrace'
import { benchApp, Measured, publisher, startOnCopy } from '../harness/bench-app.ts'
import { latencyFigures } from '../harness/load.ts'
import type { Figure, Row } from '../harness/row.ts'

/** How much later than the publish itself a handler may start, in milliseconds. */
const allowedMs = 0.5

let startedMs = 0
let started: (() => void) | undefined
const noting = on(Measured, { name: 'noting', from: 'now' }, () => {
  startedMs = performance.now()
  started?.()
})

const p50: Figure = {
  name: 'p50',
  unit: 'ms',
  goal: `≤ ${allowedMs} ms more`,
  isMet: (ours, peer) => ours - peer <= allowedMs,
}

const row: Row = {
  name: 'handle-latency',
  what: 'publish → handler starts, idle system',
  figures: [p50, { name: 'p99', unit: 'ms' }],
  ours: {
    what: 'millrace',
    async start(settings) {
      const { running, stop } = await startOnCopy(benchApp({ handlers: [noting] }), settings)
      const publish = publisher(running)
      let n = 0
      const once = async () => {
        const handled = new Promise<void>((resolve) => {
          started = resolve
        })
        const beganMs = performance.now()
        await publish(n++)
        const publishedMs = performance.now() - beganMs
        await handled
        const handlerMs = startedMs - beganMs
        await running.settled()
        return { publishedMs, handlerMs }
      }
      const round = async () => {
        const untilMs = performance.now() + settings.seconds * 1000
        const took: { publishedMs: number; handlerMs: number }[] = []
        while (performance.now() < untilMs) took.push(await once())
        return {
          figures: latencyFigures(took.map(({ handlerMs }) => handlerMs)),
          beside: latencyFigures(took.map(({ publishedMs }) => publishedMs)),
        }
      }
      return { round, stop }
    },
  },
  peer: { what: 'the publish itself' },
}
export default row
