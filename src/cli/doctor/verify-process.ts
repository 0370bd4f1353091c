import { isHandlerState } from '../../bus/state-layout.ts'
import { verifyState } from '../../bus/verify-state.ts'
import { isMillraceError } from '../../core/errors.ts'
import { realRuntime } from '../../core/real-runtime.ts'
import type { VerificationProgress } from '../../log/verification.ts'
import { Output } from '../output.ts'
import type { Message } from './messages.ts'

// The process that verifies the log in a folder, apart from the command: LMDB may end it.
const { stdout, stderr } = process
const output = new Output({ stdout, stderr, json: true, verbose: false })
const say = (message: Message) => output.printJson(message)
const runtime = realRuntime()
const everyMs = 100
let toldMs = 0
let progress: VerificationProgress = { rows: 0, totalRows: 0, records: 0, stateValues: 0, bytes: 0 }

function onProgress(now: VerificationProgress): void {
  progress = { ...now }
  if (runtime.now() - toldMs < everyMs) return
  toldMs = runtime.now()
  stdout.write(`${JSON.stringify({ progress } satisfies Message)}\n`)
}

try {
  const { verifyLmdb } = await import('../../engines/lmdb/verify/verify.ts')
  const findings = verifyLmdb(process.argv[2] ?? '', {
    runtime,
    checkState: verifyState,
    isHandlerState,
    onProgress,
  })
  for await (const finding of findings) await say({ finding })
  await say({ progress, done: true })
} catch (error) {
  if (!isMillraceError(error)) throw error
  const { code, message, where, fix, facts } = error
  await say({ error: { code, message, where, fix, facts } })
}
