import { type AnyCommandType, Failed } from '../core/command.ts'
import { MillraceError } from '../core/errors.ts'
import { defaultMaxEventBytes } from '../core/event.ts'
import { storableJson } from '../core/event-codec.ts'
import { validate } from '../core/schema.ts'
import type { Offset, Place } from '../log/port.ts'
import { stateLayout } from './state-layout.ts'

/** How a command was decided, as it is stored and told. A member that is undefined is left out by JSON. */
export type Decision =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly ok: false; readonly failure?: unknown }

/** What the state of a partition keeps of a command that was decided, or given up for good. Written once. */
export interface StoredResult {
  /** The type of the command. */
  readonly command: string
  readonly outcome: Decision | { readonly discarded: string }
  /** From when on it can no longer be fetched, in milliseconds since 1970 UTC; it is removed soon after. */
  readonly expiresMs: number
}

/** The most bytes of JSON of one result: what an event may have. */
export const maxResultBytes = defaultMaxEventBytes

/** Results that expire within so long are removed together. */
const expireTogetherMs = 60_000

/** The decision that a handler's return value stands for. `RESULT_INVALID` for one that does not fit the command. */
export async function decide(command: AnyCommandType, returned: unknown): Promise<Decision> {
  const isFailure = returned instanceof Failed
  const name = isFailure ? 'failure' : 'result'
  const what = `The ${name} of '${command.type}'`
  const schema = isFailure ? command.failure : command.result
  if (schema === undefined) {
    throw new MillraceError('RESULT_INVALID', `Command '${command.type}' declares no failure.`, {
      where: `command '${command.type}'`,
      fix: 'Give it a `failure` schema, or throw.',
    })
  }
  const output: unknown = await validate(schema, isFailure ? returned.failure : returned, {
    code: 'RESULT_INVALID',
    what,
    root: name,
    fix: `Return what the \`${name}\` schema of the command takes.`,
  })
  if (output === undefined) return isFailure ? { ok: false } : { ok: true }
  const text = storableJson(output, name)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxResultBytes) {
    throw new MillraceError('RESULT_INVALID', `${what} has ${bytes} bytes; ${maxResultBytes} are the most.`, {
      where: name,
      fix: 'Keep the large part elsewhere and return a reference to it.',
    })
  }
  const value: unknown = JSON.parse(text)
  return isFailure ? { ok: false, failure: value } : { ok: true, result: value }
}

/** What keeps a result until its time is over, for the step that makes the command done. */
export function resultPuts(
  command: AnyCommandType,
  { topic, offset }: { readonly topic: string; readonly offset: Offset },
  outcome: StoredResult['outcome'],
  nowMs: number,
): (readonly [string, string])[] {
  const key = stateLayout.result(topic, offset)
  const expiresMs = nowMs + command.resultTtlMs
  const dueMs = Math.ceil(expiresMs / expireTogetherMs) * expireTogetherMs
  const stored: StoredResult = { command: command.type, outcome, expiresMs }
  return [
    [key, JSON.stringify(stored)],
    [stateLayout.timer(dueMs, key), JSON.stringify({ expired: key })],
  ]
}

/** The id of a command's result: `TOPIC.PARTITION.OFFSET`, so that any process knows whom to ask. */
export function resultIdOf({ topic, partition, offset }: Place & { readonly offset: Offset }): string {
  return `${topic}.${partition}.${offset}`
}

/** The place that a result's id names; undefined for what is no such id. */
export function placeOfResult(id: string): (Place & { readonly offset: Offset }) | undefined {
  const [, topic, partition, offset] = /^(.+)\.(\d{1,6})\.(\d{1,16})$/.exec(id) ?? []
  if (topic === undefined) return undefined
  return { topic, partition: Number(partition), offset: Number(offset) }
}

/** `RESULT_UNKNOWN`. */
export function resultUnknown(id: string): MillraceError {
  return new MillraceError('RESULT_UNKNOWN', `There is no result '${id}'.`, {
    where: `result '${id}'`,
    fix: 'There never was one, or its time is over: these cannot be told apart. Fetch it within `resultTtlMs`.',
  })
}
