import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type ErrorCode, MillraceError } from './errors.ts'

/** Any validator that implements Standard Schema 1.0: zod, valibot, arktype and others. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>
/** What a schema takes. */
export type InputOf<S extends StandardSchemaV1> = StandardSchemaV1.InferInput<S>
/** What a schema gives once it has validated: what is stored, and what handlers see. */
export type OutputOf<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>

/** What went wrong and where, for the error of {@link validate}. */
export interface ValidationSubject {
  readonly code: ErrorCode
  /** What is being validated, such as `data of shop.order.placed`. */
  readonly what: string
  /** What every path begins with; `data` unless given. */
  readonly root?: string
  /** What to do about it; names the schema of the event type unless given. */
  readonly fix?: string
}

type Issues = readonly StandardSchemaV1.Issue[]

/**
 * Validates `value` and returns the schema's output; synchronous whenever the schema is.
 * Throws, or rejects with, a {@link MillraceError} of the subject's code whose `where` is the path of the first issue
 * and whose `facts.issues` lists all of them as `{ path, message }`.
 */
export function validate<S extends StandardSchemaV1>(
  schema: S,
  value: unknown,
  subject: ValidationSubject,
): OutputOf<S> | Promise<OutputOf<S>> {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise)
    return result.then((settled) => outputOf(settled, subject)) as Promise<OutputOf<S>>
  return outputOf(result, subject) as OutputOf<S>
}

function outputOf(result: StandardSchemaV1.Result<unknown>, subject: ValidationSubject): unknown {
  if (result.issues === undefined) return result.value
  throw validationError(result.issues, subject)
}

function validationError(issues: Issues, subject: ValidationSubject): MillraceError {
  const listed = issues.map((issue) => ({
    path: pathOf(issue, subject.root ?? 'data'),
    message: issue.message,
  }))
  const first = listed[0]
  return new MillraceError(
    subject.code,
    `${subject.what} does not match its schema: ${first?.message ?? 'invalid'}`,
    {
      where: first?.path,
      fix: subject.fix ?? 'Send data that matches the schema of this event type.',
      facts: { issues: listed },
    },
  )
}

function pathOf(issue: StandardSchemaV1.Issue, root: string): string {
  const segments = (issue.path ?? []).map((segment) =>
    String(typeof segment === 'object' ? segment.key : segment),
  )
  return [root, ...segments].join('.')
}
