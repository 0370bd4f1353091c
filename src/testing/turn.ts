/**
 * Resolves after every microtask that is queued now, and every one that those queue, has run. The only place where a
 * simulation touches the real event loop: nothing it observes depends on how long a turn takes.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
