import { createHash } from 'node:crypto'
import type { ErrorRecord } from './parked-entry.ts'

const mostCharacters = 300

/**
 * What tells failures of one cause from those of another: 16 hexadecimal digits.
 *
 * Made of the handler, the error's name and code, its message without what differs from event to event (quoted text, ids,
 * numbers), and the function and file in which it was thrown. The line is left out, so that a change further up in the
 * file does not tear a group apart; the frame is there because many errors share a poor message. A caller's frames are left
 * out too: one broken helper is one cause, whoever calls it within the handler.
 */
export function failureFingerprint(handler: string, error: ErrorRecord): string {
  const parts = [handler, error.name, error.code ?? '', normalMessage(error.message), topFrame(error.stack)]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

function normalMessage(message: string): string {
  return message
    .slice(0, mostCharacters)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '*')
    .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, '*')
    .replace(/\b(?=[0-9a-z_-]*\d)[0-9a-z_-]+\b/gi, '*')
}

/** The function and file of the first frame that is not of Node.js itself nor of a library, wherever it is installed. */
function topFrame(stack: string | undefined): string {
  const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  const own = frames.find((frame) => !/node:|[\\/]node_modules[\\/]/.test(frame)) ?? ''
  return own
    .trim()
    .replace(/:\d+:\d+\)?$/, '')
    .replace(/\S*[\\/]/, '')
}
