/** Resolves at the end of the turn of the event loop that is under way, once what has come in by then was handled. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
