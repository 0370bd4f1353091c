import type { EventEmitter } from 'node:events'
import type { Runtime } from '../core/runtime.ts'

/** A process that can be told to stop. */
export interface StoppableProcess extends Pick<EventEmitter, 'on' | 'off'> {
  exit(code: number): void
}

/** The wish that the process stops. */
export interface StopRequest {
  /** Resolves when the process is told to stop. */
  readonly requested: Promise<void>
  /** Aborted at the same moment. */
  readonly signal: AbortSignal
  /** Listens no more. */
  forget(): void
}

const signals = ['SIGINT', 'SIGTERM'] as const

/** Signals this close are one: npm passes on what the terminal has sent to the process itself already. */
const sameRequestMs = 500

/** Waits for SIGINT or SIGTERM. A second one ends the process at once, with exit code 1. */
export function stopRequest(target: StoppableProcess, runtime: Pick<Runtime, 'now'>): StopRequest {
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<void>()
  let firstMs: number | undefined
  const onSignal = () => {
    if (firstMs === undefined) {
      firstMs = runtime.now()
      controller.abort(new Error('The process was told to stop.'))
      resolve()
    } else if (runtime.now() - firstMs >= sameRequestMs) {
      target.exit(1)
    }
  }
  for (const signal of signals) target.on(signal, onSignal)
  return {
    requested: promise,
    signal: controller.signal,
    forget() {
      for (const signal of signals) target.off(signal, onSignal)
    },
  }
}
