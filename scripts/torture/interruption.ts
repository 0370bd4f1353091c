import { constants } from 'node:os'

const signals = ['SIGINT', 'SIGTERM'] as const
/** npm passes on what the terminal has sent to everybody already: that comes as fast as this, and is the same signal. */
const sameWithinMs = 500
const lookEveryMs = 250

/** Somebody wants the run to end. */
export class Interruption {
  /** Resolves with the first signal. */
  readonly signalled: Promise<NodeJS.Signals>

  /** `onSecond` is called just before a second one ends this process at once. */
  constructor(onSecond: () => void, sameForMs = sameWithinMs) {
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
    this.signalled = promise
    whenOrphaned(() => resolve('SIGTERM'))
    let firstMs: number | undefined
    for (const signal of signals) {
      process.on(signal, () => {
        const nowMs = performance.now()
        firstMs ??= nowMs
        if (nowMs === firstMs) resolve(signal)
        else if (nowMs - firstMs > sameForMs) {
          onSecond()
          process.exit(exitCodeOf(signal))
        }
      })
    }
  }
}

/** npm passes a signal on to the shell that it has started, which ends and tells nobody: then nobody waits for this process any more. */
function whenOrphaned(act: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    act()
  }, lookEveryMs).unref()
}

/** That with which shells report a process that a signal has ended. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
