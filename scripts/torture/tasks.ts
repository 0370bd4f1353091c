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
  /** How many rounds ran out of time, so that nobody knows what would have become of them; `notes` say of each what it waited for. */
  readonly notJudged: number
  /** Folders that are to be looked at. */
  readonly kept?: readonly string[]
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
  /** Whether the disk fails too: in all of them, or in every third. */
  readonly disk: 'always' | 'sometimes' | false
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
    if (index < rounds)
      yield {
        kind: 'round',
        seed: first + index,
        disk: disk === 'always' || (disk === 'sometimes' && index % 3 === 2),
      }
  }
  for (; engines.length > 0 && chaosGiven < chaos; chaosGiven += 1) yield chaosTask(chaosGiven)

  function chaosTask(index: number): Task {
    const engine = engines[index % engines.length] ?? ''
    return { kind: 'chaos', engine, seed: first + Math.floor(index / engines.length) }
  }
}

/** A round that was played, as the result of a task. */
export function resultOfRound(round: KillRound): TaskResult {
  const { seed, disk, breaches, outOfTime, kills, acknowledged, attempts, folder } = round
  const told = toldOf(
    { name: `Round ${seed}`, breaches, outOfTime },
    `Its log and journals are in ${folder}`,
    `Run it again with: npm run torture -- --round ${seed}${disk ? ' --disk' : ''}`,
  )
  const kept = told.failures.length + told.notJudged > 0 ? [folder] : []
  return { seeds: 0, rounds: 1, kills, acknowledged, attempts, ...told, kept, gaps: [] }
}

/** A round of chaos that was played, as the result of a task. */
export function resultOfChaos(round: ChaosRound): TaskResult {
  const { engine, seed, breaches, damage, outOfTime, acknowledged, attempts, folder } = round
  const name = `Round ${seed} on ${engine}`
  const gaps = round.gaps.map((gap) => ({ ...gap, engine }))
  const counts = { seeds: 0, rounds: 1, kills: 0, acknowledged, attempts, gaps }
  if (damage.length > 0) {
    const note = [
      `${name} cannot be judged, for the servers themselves have lost what they had acknowledged:`,
      ...damage.map((what) => `  ${what}`),
    ].join('\n')
    return { ...counts, failures: [], notJudged: 0, notes: [note] }
  }
  const told = toldOf(
    { name, breaches, outOfTime },
    `What failed: ${round.gaps.map(({ fault }) => fault).join(', ')}`,
    `Its journals are in ${folder}`,
    `Run it again with: npm run torture -- --engine ${engine} --round ${seed}`,
  )
  return { ...counts, ...told, kept: told.failures.length + told.notJudged > 0 ? [folder] : [] }
}

/** A rule that is broken is one, whatever the time was; a round that only ran out of time has broken none. */
function toldOf(
  {
    name,
    breaches,
    outOfTime,
  }: {
    readonly name: string
    readonly breaches: readonly string[]
    readonly outOfTime: string | undefined
  },
  ...more: readonly string[]
): Required<Pick<TaskResult, 'failures' | 'notJudged' | 'notes'>> {
  const time = outOfTime === undefined ? [] : [`  ${outOfTime}`]
  if (breaches.length > 0) {
    const message = [
      `${name} BREAKS ${breaches.length === 1 ? 'A RULE' : `${breaches.length} RULES`}:`,
      ...breaches.slice(0, 10).map((breach) => `  ${breach}`),
      ...(time.length > 0 ? ['and then it ran out of time:', ...time] : []),
      ...more,
    ].join('\n')
    return { failures: [{ message }], notJudged: 0, notes: [] }
  }
  if (time.length === 0) return { failures: [], notJudged: 0, notes: [] }
  const note = [
    `${name} is NOT JUDGED, for it ran out of time; no rule was broken until then:`,
    ...time,
    ...more,
  ].join('\n')
  return { failures: [], notJudged: 1, notes: [note] }
}
