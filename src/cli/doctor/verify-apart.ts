import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../../core/errors.ts'
import type { Finding, VerificationProgress } from '../../log/verification.ts'
import type { ErrorMessage, Message } from './messages.ts'

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const program = fileURLToPath(new URL(`verify-process.${extension}`, import.meta.url))
const keptCharacters = 300

/**
 * Verifies the log in a folder as `verifyLmdb` does, in a process of its own: LMDB ends its process when it meets some
 * damaged pages, and then that is the last finding.
 */
export async function* verifyApart(
  folder: string,
  onProgress: (progress: VerificationProgress) => void,
): AsyncGenerator<Finding, void> {
  const child = spawn(process.execPath, [...process.execArgv, program, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const lastWords = tailOf(child)
  let isDone = false
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const message = messageIn(line)
      if (message === undefined) continue
      if ('error' in message) throw revived(message.error)
      if ('finding' in message) yield message.finding
      else {
        onProgress(message.progress)
        isDone = message.done === true
      }
    }
    const [, signal] = await closed
    if (isDone) return
    if (signal === null) throw new Error(`the log could not be verified: ${lastWords()}`)
    yield endedBy(signal, lastWords())
  } finally {
    child.kill()
    await closed
  }
}

/** A process that is ended may leave half a line. */
function messageIn(line: string): Message | undefined {
  try {
    return JSON.parse(line) as Message
  } catch {
    return undefined
  }
}

function revived({ code, message, where, fix, facts }: ErrorMessage['error']): MillraceError {
  return new MillraceError(code, message, { where, fix, facts })
}

function tailOf(child: ChildProcessByStdio<null, Readable, Readable>): () => string {
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    text = `${text}${more}`.slice(-keptCharacters)
  })
  return () => text.trim()
}

function endedBy(signal: NodeJS.Signals, lastWords: string): Finding {
  const said = lastWords === '' ? '' : ` (${lastWords})`
  return {
    kind: 'pages-damaged',
    severity: 'damage',
    where: 'data.mdb',
    problem: `The pages of the file are damaged: LMDB was ended by ${signal}${said}. What comes behind was not verified.`,
    fix: 'Restore the log from a backup, and check the disk: a process that opens this log may end the same way.',
  }
}
