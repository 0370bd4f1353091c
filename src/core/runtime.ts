/**
 * What a running process needs from the outside world besides its engine: time, chance, names and background work.
 * Everything above the engines takes these from here and from nowhere else, so that a simulation can put virtual time
 * and a seeded generator in their place.
 */
export interface Runtime {
  /** The wall clock, in milliseconds since 1970 UTC. It may jump in both directions. */
  now(): number
  /**
   * Resolves after `durationMs` of elapsed time, which clock jumps do not change.
   * Rejects with the signal's reason when `signal` aborts first.
   */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>
  /** A uniformly distributed number in [0, 1). Not for secrets. */
  random(): number
  /** A new UUIDv7 (RFC 9562): unique, and sorted by the time at which it was made. */
  id(): string
  /**
   * Runs `task` in the background. A task handles its own failures; one that rejects all the same is reported through
   * the runtime's `onTaskFailed` and never lost.
   */
  spawn(name: string, task: () => Promise<void>): void
}

/** Takes structured log lines; the shape of a `pino` logger. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A logger that drops every line. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
}
