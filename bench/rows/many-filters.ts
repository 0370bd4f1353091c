import { on } from 'millrace'
import { benchApp, Measured, publishAndHandle } from '../harness/bench-app.ts'
import { type Row, rate } from '../harness/row.ts'

/** Handlers of which the last one's filter matches every event, and the others' none. */
function filtered(count: number) {
  return Array.from({ length: count }, (_, index) => {
    const pad = index === count - 1 ? [{ exists: true }] : [`another ${index}`]
    return on({ type: Measured, data: { pad } }, { name: `filtered-${index}`, from: 'now' }, () => {})
  })
}

const row: Row = {
  name: 'many-filters',
  what: '1,000 handlers with filters of which one matches',
  figures: [rate(0.67)],
  ours: {
    what: 'millrace',
    start: (settings) => publishAndHandle(benchApp({ handlers: filtered(1_000) }), settings),
  },
  peer: {
    what: 'millrace, that one alone',
    start: (settings) => publishAndHandle(benchApp({ handlers: filtered(1) }), settings),
  },
}
export default row
