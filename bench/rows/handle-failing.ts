import { on } from 'millrace'
import { benchApp, Measured, publishAndHandle } from '../harness/bench-app.ts'
import { type Row, rate } from '../harness/row.ts'
import { handling } from './handle-beside-bullmq.ts'

const failing = on(Measured, { name: 'failing', from: 'now' }, ({ data }, ctx) => {
  if (data.n % 10 === 0 && ctx.attempt === 1) throw new Error('fails once')
})

const row: Row = {
  name: 'handle-failing',
  what: 'the same with 10% of events failing once',
  figures: [rate(0.5)],
  ours: {
    what: 'millrace',
    start: (settings) => publishAndHandle(benchApp({ handlers: [failing] }), settings),
  },
  peer: { ...handling, what: 'millrace, none failing' },
}
export default row
