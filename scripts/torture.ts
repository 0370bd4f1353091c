// Simulates seeds, kills processes, and lets servers and connections fail, on all cores:
// npm run torture [-- --seeds 100000 --rounds 400 --chaos 40 --minutes 60 --first 1 --engine lmdb --engine postgres]
// [-- --round 7 --disk] [-- --round 7 --engine postgres --fault 'the server is killed']
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { chaosEngines } from './torture/chaos/clusters.ts'
import { canFail } from './torture/faulty-disk.ts'
import { doAll } from './torture/pool.ts'
import { Progress } from './torture/progress.ts'
import { subjects } from './torture/subjects.ts'
import { type Task, tasksOf } from './torture/tasks.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '400' },
    chaos: { type: 'string', default: '40' },
    minutes: { type: 'string', default: 'Infinity' },
    first: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    round: { type: 'string' },
    disk: { type: 'boolean', default: false },
    engine: { type: 'string', multiple: true },
    fault: { type: 'string', multiple: true },
  },
})

const enoughFailures = 5

/** A whole number that an option gives. */
function number(name: 'seeds' | 'rounds' | 'chaos' | 'first' | 'processes' | 'round', least: number): number {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value >= least) return value
  console.error(`--${name} must be a whole number, at least ${least}`)
  process.exit(2)
}

/** One round again, or everything. */
function planned(): {
  readonly seeds: number
  readonly rounds: number
  readonly tasks: Iterator<Task, void>
} {
  const names = engineNames()
  if (values.round !== undefined) {
    const tasks = [again(number('round', 0), names)]
    return { seeds: 0, rounds: 1, tasks: tasks.values() as Iterator<Task, void> }
  }
  const seeds = number('seeds', 0)
  const rounds = names.includes('lmdb') ? number('rounds', 0) : 0
  const wanted = number('chaos', 0)
  const shared = wanted > 0 ? names.filter((name) => name in chaosEngines) : []
  const engines = shared.filter((name) => chaosEngines[name]?.isHere)
  const chaos = engines.length > 0 ? wanted : 0
  const disk = rounds > 0 && canFail()
  if (rounds > 0 && !disk) console.error("LEFT OUT: faults of the disk, which take Debian's fiu-utils.")
  for (const name of shared) {
    if (!engines.includes(name)) console.error(`LEFT OUT: ${name}, whose servers are not here.`)
  }
  const plan = { first: number('first', 0), seeds, rounds, disk, chaos, engines }
  return { seeds, rounds: rounds + chaos, tasks: tasksOf(Object.keys(subjects), plan) }
}

function engineNames(): readonly string[] {
  const known = ['lmdb', ...Object.keys(chaosEngines)]
  const names = values.engine ?? known
  if (names.every((name) => known.includes(name))) return names
  console.error(`--engine must be one of ${known.join(', ')}`)
  process.exit(2)
}

function again(seed: number, [engine = 'lmdb', ...others]: readonly string[]): Task {
  if (engine === 'lmdb' || others.length > 0) return { kind: 'round', seed, disk: values.disk }
  return { kind: 'chaos', engine, seed, ...(values.fault === undefined ? {} : { faults: values.fault }) }
}

const limitMs = Number(values.minutes) * 60_000
if (!(limitMs > 0)) {
  console.error('--minutes must be a number above 0')
  process.exit(2)
}
const { tasks, ...total } = planned()
const progress = new Progress(total)
await doAll(tasks, {
  processes: number('processes', 1),
  goesOn: () => progress.elapsedMs < limitMs && progress.sums.failed < enoughFailures,
  onResult: (result) => progress.add(result),
})
progress.summarize()
process.exitCode = progress.sums.failed === 0 ? 0 : 1
