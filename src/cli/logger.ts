import { inspect } from 'node:util'
import type { Logger } from '../core/runtime.ts'
import { errorLine, type Output } from './output.ts'

/**
 * The logger of an application that a command runs: lines for machines with `--json`, all of them with `--verbose`, and
 * otherwise one readable line each on standard error.
 */
export async function loggerOf(output: Output): Promise<Logger> {
  if (output.json || output.verbose) {
    const { pino } = await import('pino')
    const level = output.verbose ? 'debug' : 'info'
    const logger: Logger = pino({ level }, pino.destination({ dest: 2, sync: true }))
    return logger
  }
  return {
    debug() {},
    info: (fields, message) => output.note(logLine(fields, message)),
    warn: (fields, message) => output.warning(logLine(fields, message)),
    error: (fields, message) => output.warning(logLine(fields, message)),
  }
}

/** A line of the log in words: its message, what went wrong, and what it is about. */
function logLine(fields: object, message: string): string {
  const { err, ...about } = fields as Readonly<Record<string, unknown>>
  const reason = err === undefined ? '' : ` ${errorLine(err)}`
  if (Object.keys(about).length === 0) return `${message}${reason}`
  return `${message}${reason} ${inspect(about, { breakLength: Number.POSITIVE_INFINITY })}`
}
