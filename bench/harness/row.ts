/** What every part of a run is told: sizes of the work, in plain numbers so that it can be sent to another process. */
export interface Settings {
  /** Rounds that count, after one that does not. */
  readonly rounds: number
  /** How long a round puts load on, in seconds. */
  readonly seconds: number
  /** How many events are in the log before anything is measured. */
  readonly prefill: number
  /** How many events the log has that is opened. */
  readonly openEvents: number
  /** How many events stand behind a slow handler. */
  readonly backlog: number
  readonly idleSeconds: number
  readonly steadySeconds: number
  /** A folder for this run, with the log that {@link Settings.prefill} describes under `log`. */
  readonly folder: string
  /** Ports of the servers that were started for this row. */
  readonly ports: Readonly<Record<string, number>>
}

/** One round's figures by name, and which part of its core the load generator took. */
export interface Round {
  readonly figures: Readonly<Record<string, number>>
  /** What stands beside them where both come from one measurement. */
  readonly beside?: Readonly<Record<string, number>>
  readonly generatorShare?: number
}

/** One side of a row at work. */
export interface Contestant {
  round(): Promise<Round>
  stop(): Promise<void>
}

/** One side of a row: what it is, and how to bring it up in a process of its own. */
export interface Side {
  readonly what: string
  /** Options of Node.js that its process is started with. */
  readonly nodeOptions?: readonly string[]
  start(settings: Settings): Promise<Contestant>
}

/** One figure of a row. */
export interface Figure {
  /** The key of {@link Round.figures}; ends the name of the row's line where a row has several. */
  readonly name: string
  readonly unit: 'events/s' | 'events' | 'ms' | 's' | 'MB' | '%'
  /** What was set out to be reached, in words, and whether it is. */
  readonly goal?: string
  readonly isMet?: (ours: number, peer: number) => boolean
}

/** The names of servers that a row can need. */
export type ServerName = 'redis-server' | 'nats-server' | 'postgres'

/** One row of the table. */
export interface Row {
  readonly name: string
  readonly what: string
  readonly figures: readonly Figure[]
  readonly ours: Side
  /**
   * Another side, measured in turn with ours; or a limit for each figure, set beforehand; or without either, what ours
   * measures itself beside its figures.
   */
  readonly peer: Side | { readonly what: string; readonly limits?: Readonly<Record<string, number>> }
  readonly server?: ServerName
  /** Where the peer promises less than ours does. */
  readonly weaker?: string
  /** Rounds unless more is asked for: rows that are long by their nature have fewer. */
  readonly rounds?: number
}

/** A rate, the higher the better, that is to be at least `ratio` of the peer's. */
export function rate(ratio: number, name = 'rate'): Figure {
  return {
    name,
    unit: 'events/s',
    goal: `≥ ${ratio}`,
    isMet: (ours, peer) => ours >= ratio * peer,
  }
}

/** A cost, the lower the better, that is to be at most `ratio` of the peer's. */
export function cost(ratio: number, unit: Figure['unit'], name: string): Figure {
  return { name, unit, goal: `≤ ${ratio}`, isMet: (ours, peer) => ours <= ratio * peer }
}
