import type { ChaosRound } from './chaos/chaos-round.ts'
import type { Gap } from './chaos/gaps.ts'
import type { KillRound } from './kill-round.ts'

/** Something that a worker does at once. */
export type Task =
  | { readonly kind: 'seeds'; readonly subject: string; readonly first: number; readonly count: number }
  | { readonly kind: 'round'; readonly seed: number; readonly disk: boolean }
  | {
      readonly kind: 'chaos'
      readonly engine: string
      readonly seed: number
      /** What fails; by the seed unless given. */
      readonly faults?: readonly string[]
    }

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
  /** What is to be told beside that. */
  readonly notes?: readonly string[]
  /** How long nothing went on while something failed. */
  readonly gaps: readonly EngineGap[]
}

/** A gap, with the engine on which it was. */
export type EngineGap = Gap & { readonly engine: string }

/** What is to be done besides simulating. */
export interface PlannedRounds {
  /** Rounds in which processes on a folder are killed. */
  readonly rounds: number
  /** Whether the disk fails too in every third of them. */
  readonly disk: boolean
  /** Rounds in which processes, connections and servers fail, shared out among the engines. */
  readonly chaos: number
  readonly engines: readonly string[]
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
  } & PlannedRounds,
): Generator<Task, void> {
  const { first, seeds } = planned
  const parts = Math.ceil(seeds / seedsAtOnce)
  const rounds = [...roundsOf(first, planned)]
  let given = 0
  for (let part = 0; part < parts; part += 1) {
    const due = Math.ceil((rounds.length * part) / parts)
    yield* rounds.slice(given, due)
    given = due
    const count = Math.min(seedsAtOnce, seeds - part * seedsAtOnce)
    // Every subject goes through the same seeds from the first on.
    const from = first + Math.floor(part / subjects.length) * seedsAtOnce
    yield { kind: 'seeds', subject: subjects[part % subjects.length] ?? '', first: from, count }
  }
  yield* rounds.slice(given)
}

/** Those of one kind spread evenly among those of the other. */
function* roundsOf(first: number, { rounds, disk, chaos, engines }: PlannedRounds): Generator<Task, void> {
  let chaosGiven = 0
  for (let index = 0; index <= rounds; index += 1) {
    for (; engines.length > 0 && chaosGiven * rounds < chaos * index; chaosGiven += 1)
      yield chaosTask(chaosGiven)
    if (index < rounds) yield { kind: 'round', seed: first + index, disk: disk && index % 3 === 2 }
  }
  for (; engines.length > 0 && chaosGiven < chaos; chaosGiven += 1) yield chaosTask(chaosGiven)

  function chaosTask(index: number): Task {
    const engine = engines[index % engines.length] ?? ''
    return { kind: 'chaos', engine, seed: first + Math.floor(index / engines.length) }
  }
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
  return { seeds: 0, rounds: 1, kills, acknowledged, attempts, failures, gaps: [] }
}

/** A round of chaos that was judged, as the result of a task. */
export function resultOfChaos(round: ChaosRound): TaskResult {
  const { engine, seed, breaches, acknowledged, attempts, folder } = round
  const message = [
    `Round ${seed} on ${engine} breaks ${breaches.length === 1 ? 'a rule' : `${breaches.length} rules`}, after ${round.gaps.map(({ fault }) => fault).join(', ')}:`,
    ...breaches.slice(0, 10).map((breach) => `  ${breach}`),
    `Its journals are in ${folder}`,
    `Run it again with: npm run torture -- --engine ${engine} --round ${seed}`,
  ].join('\n')
  const isTheirs = round.damage.length > 0
  const failures = breaches.length === 0 || isTheirs ? [] : [{ message }]
  const note = [
    `Round ${seed} on ${engine} cannot be judged, for the servers themselves have lost what they had acknowledged:`,
    ...round.damage.map((what) => `  ${what}`),
  ].join('\n')
  const gaps = round.gaps.map((gap) => ({ ...gap, engine }))
  const notes = isTheirs ? [note] : []
  return { seeds: 0, rounds: 1, kills: 0, acknowledged, attempts, failures, gaps, notes }
}
