import type { KillRound } from './kill-round.ts'

/** Something that a worker does at once. */
export type Task =
  | { readonly kind: 'seeds'; readonly subject: string; readonly first: number; readonly count: number }
  | { readonly kind: 'round'; readonly seed: number; readonly disk: boolean }

/** A rule that was broken, and how to see it again. */
export interface Failure {
  readonly message: string
}

/** What became of a task. */
export interface TaskResult {
  readonly seeds: number
  readonly rounds: number
  readonly kills: number
  readonly acknowledged: number
  readonly attempts: number
  readonly failures: readonly Failure[]
}

const seedsAtOnce = 5

/**
 * Everything that is to be done: the seeds, shared out among the subjects, in small parts, and the rounds spread evenly
 * among them, so that a run that is cut short has done some of each.
 */
export function* tasksOf(
  subjects: readonly string[],
  planned: {
    readonly first: number
    readonly seeds: number
    readonly rounds: number
    /** Whether the disk fails too in every third round. */
    readonly disk: boolean
  },
): Generator<Task, void> {
  const { first, seeds, rounds } = planned
  const parts = Math.ceil(seeds / seedsAtOnce)
  const round = (index: number): Task => {
    return { kind: 'round', seed: first + index, disk: planned.disk && index % 3 === 2 }
  }
  let roundsGiven = 0
  for (let part = 0; part < parts; part += 1) {
    for (; roundsGiven < Math.ceil((rounds * part) / parts); roundsGiven += 1) {
      yield round(roundsGiven)
    }
    const count = Math.min(seedsAtOnce, seeds - part * seedsAtOnce)
    // Every subject goes through the same seeds from the first on.
    const from = first + Math.floor(part / subjects.length) * seedsAtOnce
    yield { kind: 'seeds', subject: subjects[part % subjects.length] ?? '', first: from, count }
  }
  for (; roundsGiven < rounds; roundsGiven += 1) yield round(roundsGiven)
}

/** A round that was judged, as the result of a task. */
export function resultOfRound({
  seed,
  disk,
  breaches,
  kills,
  acknowledged,
  attempts,
  folder,
}: KillRound): TaskResult {
  const message = [
    `Round ${seed} breaks ${breaches.length === 1 ? 'a rule' : `${breaches.length} rules`}:`,
    ...breaches.slice(0, 10).map((breach) => `  ${breach}`),
    `Its log and journals are in ${folder}`,
    `Run it again with: npm run torture -- --round ${seed}${disk ? ' --disk' : ''}`,
  ].join('\n')
  const failures = breaches.length === 0 ? [] : [{ message }]
  return { seeds: 0, rounds: 1, kills, acknowledged, attempts, failures }
}
