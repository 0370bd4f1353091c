import type { InputOf, OutputOf, Schema } from '../core/schema.ts'
import type { ChangeKind } from '../log/table-feed.ts'

/** The data of a change: the row before and after it. */
export interface RowChangeData<Before, After> {
  readonly before: Before
  readonly after: After
}

/** The data of a change that was refused. */
export interface RefusedRowChange {
  readonly kind: ChangeKind
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly error: { readonly code: string; readonly message: string; readonly where?: string | undefined }
}

type Result = Awaited<ReturnType<Schema['~standard']['validate']>>

/** Which rows a change has. */
const present = {
  inserted: { before: false, after: true },
  updated: { before: true, after: true },
  deleted: { before: true, after: false },
} as const

/** Validates the data of a change by the schema of its rows. Synchronous whenever that is. */
export function rowChangeSchema<S extends Schema>(
  row: S,
  kind: keyof typeof present,
): Schema<RowChangeData<InputOf<S>, InputOf<S>>, RowChangeData<OutputOf<S>, OutputOf<S>>> {
  const has = present[kind]
  const part = (given: unknown, side: 'before' | 'after'): Result | Promise<Result> => {
    if (!has[side])
      return given === null ? { value: null } : { issues: [{ message: 'must be null', path: [side] }] }
    const result = row['~standard'].validate(given)
    return result instanceof Promise ? result.then((settled) => within(settled, side)) : within(result, side)
  }
  return {
    '~standard': {
      version: 1,
      vendor: 'millrace',
      validate: (given) => {
        const { before, after } = (typeof given === 'object' && given !== null ? given : {}) as {
          readonly [Side in 'before' | 'after']?: unknown
        }
        const parts = [part(before, 'before'), part(after, 'after')] as const
        if (parts.every((each) => !(each instanceof Promise))) return joined(parts as readonly Result[])
        return Promise.all(parts).then(joined)
      },
    },
  } as Schema<RowChangeData<InputOf<S>, InputOf<S>>, RowChangeData<OutputOf<S>, OutputOf<S>>>
}

function within(result: Result, side: string): Result {
  if (result.issues === undefined) return result
  return { issues: result.issues.map((issue) => ({ ...issue, path: [side, ...(issue.path ?? [])] })) }
}

function joined([before, after]: readonly Result[]) {
  const issues = [...(before?.issues ?? []), ...(after?.issues ?? [])]
  if (issues.length > 0) return { issues }
  const given = (result: Result | undefined) => (result?.issues === undefined ? result?.value : undefined)
  return { value: { before: given(before), after: given(after) } }
}

/** Takes rows as they come. */
export const anyRow: Schema<Record<string, unknown>> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => {
      if (typeof value === 'object' && value !== null) return { value: value as Record<string, unknown> }
      return { issues: [{ message: 'must be a row' }] }
    },
  },
}

/** Takes what this package writes itself. */
export const refusedChange: Schema<RefusedRowChange> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => ({ value: value as RefusedRowChange }),
  },
}
