import type { MillraceError } from '../../core/errors.ts'
import type { Finding, VerificationProgress } from '../../log/verification.ts'

/** What the process that verifies a log says: one of these on each line, the last one `progress` or `error`. */
export type Message =
  | { readonly finding: Finding }
  | { readonly progress: VerificationProgress; readonly done?: true }
  | ErrorMessage

/** Why the log could not be verified. */
export interface ErrorMessage {
  readonly error: Pick<MillraceError, 'code' | 'message' | 'where' | 'fix' | 'facts'>
}
