// Simulates the probe application: npm run simulate -- --seed 123 [--count 100] [--steps 2000] [--faults crash,handler=0.8]
import { parseArgs } from 'node:util'
import { faultKinds, parseFaultRates } from '../src/testing/faults.ts'
import { olderProbeApp, probeApp, publishProbe, replayProbe } from '../src/testing/probe-app.ts'
import { SimulationFailed, simulate } from '../src/testing/simulate.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    steps: { type: 'string', default: '2000' },
    events: { type: 'string', default: '30' },
    processes: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '4' },
    faults: { type: 'string', default: faultKinds.join(',') },
    without: { type: 'string', default: '' },
    engine: { type: 'string', default: 'memory' },
    upgrade: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
  },
})

const first = Number(values.seed)
/** The numbers of a list such as `1,4-7`. */
function numbers(list: string): number[] {
  return list
    .split(',')
    .filter(Boolean)
    .flatMap((range) => {
      const [from = Number.NaN, to = from] = range.split('-').map(Number)
      return Array.from({ length: to - from + 1 }, (_, index) => from + index)
    })
}

let failed = 0
for (let seed = first; seed < first + Number(values.count); seed += 1) {
  try {
    const { trace, traceHash, history, virtualMs } = await simulate(probeApp, {
      seed,
      steps: Number(values.steps),
      events: Number(values.events),
      processes: Number(values.processes),
      partitions: Number(values.partitions),
      engine: values.engine === 'journaled' ? 'journaled' : 'memory',
      faults: parseFaultRates(values.faults),
      without: numbers(values.without),
      publish: publishProbe,
      ...(values.upgrade ? { predecessor: olderProbeApp } : {}),
      replay: (settings) => `${replayProbe(settings)}${values.upgrade ? ' --upgrade' : ''}`,
    })
    if (values.trace) console.log(trace.join('\n'))
    console.log(
      `seed ${seed}: holds; ${history.acknowledged.length} acknowledged, ${history.attempts.length} attempts, ${history.deadLetters.length} dead letters, ${trace.length} lines, ${Math.round(virtualMs / 1000)} s, ${traceHash.slice(0, 12)}`,
    )
  } catch (error) {
    if (!(error instanceof SimulationFailed)) throw error
    failed += 1
    if (values.trace) console.log(error.report.trace.join('\n'))
    console.log(error.message)
    if (!values['go-on']) break
  }
}
process.exitCode = failed === 0 ? 0 : 1
