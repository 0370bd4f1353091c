/** What calls handlers, and nobody else: see `attempt.ts`. */
const caller = { name: 'runAttempt', file: '/bus/attempt.' } as const

const frameOfCaller = `\n    at ${caller.name} (`

/**
 * The stack of an error, without what called the handler: that is the same for all, most of the frames, and most of what it takes to put
 * the text together, which V8 does when it is asked for, once. Undefined for an error that has none.
 */
export function stackUpToHandler(error: Error): string | undefined {
  const stack = process.sourceMapsEnabled ? error.stack : stackBy(error)
  const end = stack?.indexOf(frameOfCaller) ?? -1
  return end >= 0 && stack?.includes(caller.file, end) ? stack.slice(0, end) : stack
}

/** Whoever has stacks put together in another way gets them so. */
function stackBy(error: Error): string | undefined {
  const usual = Error.prepareStackTrace
  if (usual?.name !== 'ErrorPrepareStackTrace') return error.stack
  Error.prepareStackTrace = textOf
  try {
    return error.stack
  } finally {
    Error.prepareStackTrace = usual
  }
}

/** The text that V8 makes, up to the handler. */
function textOf(error: Error, frames: readonly NodeJS.CallSite[]): string {
  let text = headOf(error)
  for (const frame of frames) {
    if (frame.getFunctionName() === caller.name && frame.getFileName()?.includes(caller.file)) break
    text += `\n    at ${frame}`
  }
  return text
}

/** What the text begins with; a name or message that throws when it is read must not undo how the failure is kept. */
function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error)
  } catch {
    return '<error>'
  }
}
