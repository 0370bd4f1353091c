import { event, on } from 'millrace'
import { z } from 'zod'
import { benchApp, noop, publishAndHandle } from '../harness/bench-app.ts'
import { type Row, rate } from '../harness/row.ts'
import { handling } from './handle-beside-bullmq.ts'

const others = Array.from({ length: 99 }, (_, index) => {
  const type = event(`bench.other${index}`, { schema: z.object({}) })
  return on(type, { name: `other-${index}`, from: 'now' }, () => {})
})

const row: Row = {
  name: 'many-handlers',
  what: '100 handlers on a topic of which one matches',
  figures: [rate(0.67)],
  ours: {
    what: 'millrace',
    start: (settings) => publishAndHandle(benchApp({ handlers: [noop, ...others] }), settings),
  },
  peer: { ...handling, what: 'millrace, that one alone' },
}
export default row
