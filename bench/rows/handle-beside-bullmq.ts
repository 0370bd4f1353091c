import { benchApp, noop, publishAndHandle } from '../harness/bench-app.ts'
import { bullmq, bullmqIsWeaker } from '../harness/bullmq.ts'
import { type Row, rate, type Side } from '../harness/row.ts'

/** Publish, handle, done: a handler that does nothing, 10,000 keys. */
export const handling: Side = {
  what: 'millrace, no-op handler',
  start: (settings) => publishAndHandle(benchApp({ handlers: [noop] }), settings),
}

const row: Row = {
  name: 'handle-beside-bullmq',
  what: 'publish → handler → done, 10,000 keys',
  figures: [rate(20)],
  ours: handling,
  peer: bullmq,
  server: 'redis-server',
  weaker: bullmqIsWeaker,
}
export default row
