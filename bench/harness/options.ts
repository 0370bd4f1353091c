import { parseArgs } from 'node:util'

/** What a run of the benchmarks was asked for. */
export interface Options {
  readonly only: readonly string[]
  readonly json: string | undefined
  readonly list: boolean
  readonly rounds: number
  readonly seconds: number
  readonly prefill: number
  readonly openEvents: number
  readonly backlog: number
  readonly idleSeconds: number
  readonly steadySeconds: number
}

const quick = { rounds: 1, seconds: 0.5, prefill: 20_000, open: 20_000, backlog: 50_000, idle: 2, steady: 5 }
const usual = {
  rounds: 5,
  seconds: 2,
  prefill: 1_000_000,
  open: 1_000_000,
  backlog: 500_000,
  idle: 10,
  steady: 30,
}
const full = { ...usual, open: 10_000_000, backlog: 5_000_000, idle: 60, steady: 300 }

/** What `npm run bench -- --help` says. */
export const help = `npm run bench -- [options]

  --only NAME       only this row; may be given several times
  --list            the names of the rows
  --json FILE       writes the rows as JSON too
  --quick           small sizes and one round: to see that everything runs, not to measure
  --full            the sizes of docs/performance.md: 10 million events to open, 5 million behind a slow handler,
                    a minute idle, five minutes of steady load
  --rounds N        rounds that count (${usual.rounds})
  --seconds N       load for each round (${usual.seconds})
  --prefill N       events in the log beforehand (${usual.prefill})
  --open N          events in the log that is opened (${usual.open})
  --backlog N       events behind a slow handler (${usual.backlog})
  --idle N          seconds of idleness (${usual.idle})
  --steady N        seconds of steady load (${usual.steady})
`

/** Reads the command line; undefined when help was asked for. Throws `TypeError` for what it does not know. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const number = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      list: { type: 'boolean', default: false },
      quick: { type: 'boolean' },
      full: { type: 'boolean' },
      rounds: number,
      seconds: number,
      prefill: number,
      open: number,
      backlog: number,
      idle: number,
      steady: number,
    },
  })
  if (values.help) return undefined
  const sizes = values.quick ? quick : values.full ? full : usual
  const sized = (name: keyof typeof sizes) => positive(name, values[name], sizes[name])
  return {
    only: values.only,
    json: values.json,
    list: values.list,
    rounds: sized('rounds'),
    seconds: sized('seconds'),
    prefill: sized('prefill'),
    openEvents: sized('open'),
    backlog: sized('backlog'),
    idleSeconds: sized('idle'),
    steadySeconds: sized('steady'),
  }
}

function positive(name: string, given: string | undefined, otherwise: number): number {
  const value = given === undefined ? otherwise : Number(given.replaceAll('_', ''))
  if (Number.isFinite(value) && value > 0) return value
  throw new TypeError(`--${name} must be a number above 0, not '${given}'`)
}
