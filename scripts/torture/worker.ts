// A process that does one task after the other for its parent, so that all cores are used. When its parent is there no more, it
// has taken away what it has started and made: nobody else is left who could.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SimulationFailed } from '../../src/testing/simulate.ts'
import { chaosRound } from './chaos/chaos-round.ts'
import { killRound } from './kill-round.ts'
import type { Leftovers } from './leftovers.ts'
import { subjects } from './subjects.ts'
import { type Failure, resultOfChaos, resultOfRound, type Task, type TaskResult } from './tasks.ts'

const remover = fileURLToPath(new URL('remove-leftovers.ts', import.meta.url))
const [folder = ''] = process.argv.slice(2)
const kept = new Set<string>()

process.on('message', (task: Task | 'end') => {
  if (task === 'end') process.exit(0)
  perform(task).then(
    (result) => {
      for (const path of result.kept ?? []) kept.add(path)
      process.send?.(result)
    },
    (error: unknown) => {
      // Its parent takes away what is left.
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => {
  // The round that it plays would go on while this process took away what it uses.
  const leftovers: Leftovers = { session: process.pid, folder, kept: [...kept] }
  spawn(process.execPath, [remover, JSON.stringify(leftovers)], { detached: true, stdio: 'ignore' }).unref()
  process.exit(0)
})

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
  return { seeds: task.count, rounds: 0, kills: 0, acknowledged, attempts, failures, notJudged: 0, gaps: [] }
}
