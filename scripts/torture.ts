// Simulates seeds and kills processes on all cores: npm run torture [-- --seeds 100000 --rounds 400 --minutes 60 --first 1] [-- --round 7 --disk]
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { canFail } from './torture/faulty-disk.ts'
import { doAll } from './torture/pool.ts'
import { Progress } from './torture/progress.ts'
import { subjects } from './torture/subjects.ts'
import { type Task, tasksOf } from './torture/tasks.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '400' },
    minutes: { type: 'string', default: 'Infinity' },
    first: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    round: { type: 'string' },
    disk: { type: 'boolean', default: false },
  },
})

const enoughFailures = 5

/** A whole number that an option gives. */
function number(name: 'seeds' | 'rounds' | 'first' | 'processes' | 'round', least: number): number {
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
  if (values.round !== undefined) {
    const tasks: Task[] = [{ kind: 'round', seed: number('round', 0), disk: values.disk }]
    return { seeds: 0, rounds: 1, tasks: tasks.values() as Iterator<Task, void> }
  }
  const total = { seeds: number('seeds', 0), rounds: number('rounds', 0) }
  const disk = total.rounds > 0 && canFail()
  if (total.rounds > 0 && !disk) console.error("LEFT OUT: faults of the disk, which take Debian's fiu-utils.")
  return { ...total, tasks: tasksOf(Object.keys(subjects), { ...total, first: number('first', 0), disk }) }
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
