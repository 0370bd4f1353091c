// A process that does one task after the other for its parent, so that all cores are used.
import { SimulationFailed } from '../../src/testing/simulate.ts'
import { chaosRound } from './chaos/chaos-round.ts'
import { killRound } from './kill-round.ts'
import { subjects } from './subjects.ts'
import { type Failure, resultOfChaos, resultOfRound, type Task, type TaskResult } from './tasks.ts'

process.on('message', (task: Task) => {
  perform(task).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

async function perform(task: Task): Promise<TaskResult> {
  if (task.kind === 'round') return resultOfRound(await killRound(task.seed, task))
  if (task.kind === 'chaos') return resultOfChaos(await chaosRound(task.engine, task.seed, task))
  const subject = subjects[task.subject]
  if (subject === undefined) throw new TypeError(`there is no '${task.subject}' to simulate`)
  const failures: Failure[] = []
  let acknowledged = 0
  let attempts = 0
  for (let seed = task.first; seed < task.first + task.count; seed += 1) {
    try {
      const { history } = await subject(seed)
      acknowledged += history.acknowledged.length
      attempts += history.attempts.length
    } catch (error) {
      if (!(error instanceof SimulationFailed)) throw error
      failures.push({ message: `${task.subject}: ${error.message}` })
    }
  }
  return { seeds: task.count, rounds: 0, kills: 0, acknowledged, attempts, failures, gaps: [] }
}
