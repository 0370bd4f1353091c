import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

/** What a run is to do. */
export interface TortureOptions {
  readonly seeds: number
  readonly rounds: number
  readonly chaos: number
  readonly limitMs: number
  readonly first: number
  /** How many parts are left out. */
  readonly after: number
  readonly processes: number
  /** The seed of the one round that is played; undefined for a whole run. */
  readonly round: number | undefined
  readonly disk: boolean
  /** Those named, or all. */
  readonly engines: readonly string[]
  readonly faults: readonly string[] | undefined
}

const wanted = {
  seeds: { type: 'string', default: '100000' },
  rounds: { type: 'string', default: '400' },
  chaos: { type: 'string', default: '40' },
  minutes: { type: 'string', default: 'Infinity' },
  first: { type: 'string', default: '1' },
  after: { type: 'string', default: '0' },
  processes: { type: 'string', default: String(availableParallelism()) },
  round: { type: 'string' },
  disk: { type: 'boolean', default: false },
  engine: { type: 'string', multiple: true },
  fault: { type: 'string', multiple: true },
} as const

/** What the command line says; `known` are the engines that there are. Throws a RangeError that says what an option must be. */
export function readOptions(args: string[], known: readonly string[]): TortureOptions {
  const { values } = parseArgs({ args, options: wanted })
  const engines = values.engine ?? known
  if (!engines.every((name) => known.includes(name))) {
    throw new RangeError(`--engine must be one of ${known.join(', ')}`)
  }
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new RangeError('--minutes must be a number above 0')
  const number = (
    name: 'seeds' | 'rounds' | 'chaos' | 'first' | 'after' | 'processes' | 'round',
    least = 0,
  ) => {
    const value = Number(values[name])
    if (Number.isSafeInteger(value) && value >= least) return value
    throw new RangeError(`--${name} must be a whole number, at least ${least}`)
  }
  return {
    seeds: number('seeds'),
    rounds: number('rounds'),
    chaos: number('chaos'),
    limitMs: minutes * 60_000,
    first: number('first'),
    after: number('after'),
    processes: number('processes', 1),
    round: values.round === undefined ? undefined : number('round'),
    disk: values.disk,
    engines,
    faults: values.fault,
  }
}

/** The command line that goes on where so many parts are done. */
export function commandThatGoesOn(args: readonly string[], after: number): string {
  const others = args.filter((argument, index) => {
    return argument !== '--after' && !argument.startsWith('--after=') && args[index - 1] !== '--after'
  })
  const words = [...others, '--after', String(after)].map((word) => {
    return /^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
  })
  return `npm run torture -- ${words.join(' ')}`
}
