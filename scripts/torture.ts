// Simulates seeds, kills processes, and lets servers and connections fail, on all cores:
// npm run torture [-- --seeds 100000 --rounds 400 --chaos 40 --minutes 60 --first 1 --engine lmdb --engine postgres]
// [-- --round 7 --disk] [-- --round 7 --engine postgres --fault 'the server is killed']
// Ends in order on SIGINT and SIGTERM, at once on a second one, and says how to go on: --after 12 leaves out the first twelve parts.
import { chaosEngines } from './torture/chaos/clusters.ts'
import { canFail } from './torture/faulty-disk.ts'
import { exitCodeOf, Interruption } from './torture/interruption.ts'
import { commandThatGoesOn, readOptions, type TortureOptions } from './torture/options.ts'
import { Plan } from './torture/plan.ts'
import { Pool } from './torture/pool.ts'
import { Progress } from './torture/progress.ts'
import { subjects } from './torture/subjects.ts'
import { type Task, tasksOf } from './torture/tasks.ts'

const enough = 5
const args = process.argv.slice(2)

function options(): TortureOptions {
  try {
    return readOptions(args, ['lmdb', ...Object.keys(chaosEngines)])
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(2)
  }
}

/** One round again, or everything. */
function planned({ round, disk, ...given }: TortureOptions): Plan {
  if (round !== undefined) return new Plan([again(round, { disk, ...given })])
  const rounds = given.engines.includes('lmdb') ? given.rounds : 0
  const shared = given.chaos > 0 ? given.engines.filter((name) => name in chaosEngines) : []
  const engines = shared.filter((name) => chaosEngines[name]?.isHere)
  const fails = rounds > 0 && canFail()
  if (rounds > 0 && !fails) console.error("LEFT OUT: faults of the disk, which take Debian's fiu-utils.")
  for (const name of shared) {
    if (!engines.includes(name)) console.error(`LEFT OUT: ${name}, whose servers are not here.`)
  }
  const tasks = tasksOf(Object.keys(subjects), {
    ...{ first: given.first, seeds: given.seeds, rounds, engines },
    disk: fails && (disk ? 'always' : 'sometimes'),
    chaos: engines.length > 0 ? given.chaos : 0,
  })
  return new Plan(tasks, given.after)
}

function again(seed: number, { engines, disk, faults }: Omit<TortureOptions, 'round'>): Task {
  const [engine = 'lmdb', ...others] = engines
  if (engine === 'lmdb' || others.length > 0) return { kind: 'round', seed, disk }
  return { kind: 'chaos', engine, seed, ...(faults === undefined ? {} : { faults }) }
}

const given = options()
const plan = planned(given)
const progress = new Progress(plan.total)
const pool = new Pool(plan, {
  processes: given.processes,
  goesOn: () => progress.elapsedMs < given.limitMs && progress.sums.failed + progress.sums.notJudged < enough,
  onResult: (result) => progress.add(result),
})
const interruption = new Interruption(() =>
  progress.tell(`Ended at once. What is left of it is in ${pool.folders.join(' and ')}`),
)
process.exitCode = await run()

/** Gives the exit code. */
async function run(): Promise<number> {
  let signal: NodeJS.Signals | undefined
  let failure: unknown
  try {
    signal = (await Promise.race([pool.run(), interruption.signalled])) ?? undefined
  } catch (error) {
    failure = error
  }
  const underWay = plan.underWay
  if (signal !== undefined) progress.tell(`${signal}: ending all that it has started`)
  const left = await pool.end()
  const after = plan.goesOnAfter
  progress.summarize({ isWhole: after === undefined })
  if (failure !== undefined) {
    progress.tell('It FAILED:', failure instanceof Error ? (failure.stack ?? '') : String(failure))
  }
  if (left.length > 0) progress.tell(`LEFT BEHIND: ${left.join(', ')}`)
  if (after !== undefined) {
    const at = underWay.length > 0 ? `in ${underWay.join(' and ')}` : 'between two parts'
    progress.tell(`It stopped ${at}, and goes on with: ${commandThatGoesOn(args, after)}`)
  }
  if (signal !== undefined) return exitCodeOf(signal)
  return progress.holds && failure === undefined ? 0 : 1
}
