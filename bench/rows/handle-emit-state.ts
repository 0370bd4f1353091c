import { on } from 'millrace'
import { z } from 'zod'
import { benchApp, Emitted, Measured, publishAndHandle } from '../harness/bench-app.ts'
import { bullmq, bullmqIsWeaker } from '../harness/bullmq.ts'
import { type Row, rate } from '../harness/row.ts'

const counting = on(
  Measured,
  { name: 'counting', from: 'now', state: { count: z.int().default(0) } },
  async ({ data }, ctx) => {
    ctx.state.count.set((await ctx.state.count.get()) + 1)
    ctx.emit(Emitted, { n: data.n })
  },
)

const row: Row = {
  name: 'handle-emit-state',
  what: 'the same with one emit, one state read and one state write',
  figures: [rate(10)],
  ours: {
    what: 'millrace',
    start: (settings) => publishAndHandle(benchApp({ handlers: [counting] }), settings),
  },
  peer: { ...bullmq, what: 'BullMQ, add and process, no emit, no state' },
  server: 'redis-server',
  weaker: bullmqIsWeaker,
}
export default row
