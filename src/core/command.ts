import {
  type AnyEventType,
  declareEvent,
  type EventOptions,
  type EventType,
  eventOptionNames,
} from './event.ts'
import { checkDuration, optionNames } from './options.ts'
import type { InputOf, OutputOf, Schema } from './schema.ts'

/** How long the result of a command is kept, unless set otherwise: 24 hours. */
export const defaultResultTtlMs = 24 * 60 * 60 * 1000

/** Options of {@link command}. */
export interface CommandOptions<S extends Schema, R extends Schema, F extends Schema | undefined>
  extends EventOptions<S> {
  /** Validates what the handler returns; its output is what is stored and answered, and must be JSON. */
  readonly result: R
  /** Validates what the handler gives to {@link failed}; without it the command has no failure that its caller is told. */
  readonly failure?: F
  /** How long its result can be fetched, in milliseconds; 24 hours unless given. */
  readonly resultTtlMs?: number
}

const names = optionNames<CommandOptions<Schema, Schema, Schema>>({
  ...eventOptionNames,
  result: true,
  failure: true,
  resultTtlMs: true,
})

/** An event type that is also a command: one handler answers it with a result. Made by {@link command}. */
export interface CommandType<
  Type extends string = string,
  Input = unknown,
  Output = Input,
  R extends Schema = Schema,
  F extends Schema | undefined = Schema | undefined,
> extends EventType<Type, Input, Output> {
  readonly result: R
  readonly failure: F
  readonly resultTtlMs: number
}

/** Any declared command, whatever its data and its result. */
export interface AnyCommandType extends AnyEventType {
  readonly result: Schema
  readonly failure: Schema | undefined
  readonly resultTtlMs: number
}

/** What a command's caller is told of a result. */
export type ResultOf<C> = C extends { readonly result: infer R extends Schema } ? OutputOf<R> : never
/** What a command's caller is told of a failure; never for a command without one. */
export type FailureOf<C> = C extends { readonly failure: infer F } ? OutputOfAny<F> : never
type OutputOfAny<F> = F extends Schema ? OutputOf<F> : never
type InputOfAny<F> = F extends Schema ? InputOf<F> : never

/** What the handler of a command returns: what its `result` takes, or what {@link failed} made. */
export type AnswerTo<C extends AnyCommandType> =
  | InputOf<C['result']>
  | (C['failure'] extends undefined ? never : Failed<InputOfAny<C['failure']>>)

/**
 * How a command was decided. `failure` is one of the business, such as 'sold out', that the handler returned by
 * {@link failed}: the command is done, and what the handler did holds.
 */
export type CommandOutcome<C> =
  | { readonly ok: true; readonly result: ResultOf<C> }
  | ([FailureOf<C>] extends [never] ? never : { readonly ok: false; readonly failure: FailureOf<C> })

/** How a command stands when its result is fetched. */
export type CommandState<C> = { readonly pending: true } | ({ readonly pending: false } & CommandOutcome<C>)

/** A failure of the business, as the handler of a command returns it. Made by {@link failed}. */
export class Failed<Data> {
  readonly failure: Data

  constructor(failure: Data) {
    this.failure = failure
  }
}

/**
 * What the handler of a command returns to say that it was decided against the caller, such as `failed({ left: 2 })`. What
 * the handler emitted and set is committed like that of a result: nothing is tried again, and nothing becomes a dead
 * letter. To undo what was done, and try again, throw.
 */
export function failed<Data>(data: Data): Failed<Data> {
  return new Failed(data)
}

/**
 * Declares a command: an event type that exactly one handler of the application answers with a result.
 * `request` waits for the result; `submit` gives an id, and it is fetched later. A command is published, ordered, retried
 * and deduplicated like any other event. Throws `TypeError` for what {@link event} refuses, and for schemas or a time that
 * cannot work.
 */
export function command<
  const Type extends string,
  S extends Schema,
  R extends Schema,
  F extends Schema | undefined = undefined,
>(type: Type, options: CommandOptions<S, R, F>): CommandType<Type, InputOf<S>, OutputOf<S>, R, F> {
  const base = declareEvent(type, options, names)
  const { result, failure, resultTtlMs = defaultResultTtlMs } = options
  checkSchema(type, 'result', result)
  if (failure !== undefined) checkSchema(type, 'failure', failure)
  checkDuration(`command '${type}'`, 'resultTtlMs', resultTtlMs)
  return Object.freeze({ ...base, result, failure: failure as F, resultTtlMs })
}

function checkSchema(type: string, name: string, schema: unknown): void {
  const { '~standard': standard } = (schema ?? {}) as Partial<Schema>
  if (typeof standard?.validate === 'function') return
  throw new TypeError(
    `command '${type}': '${name}' must be a Standard Schema validator, such as a zod schema`,
  )
}

/** Whether an event type is a command. */
export function isCommand(type: AnyEventType): type is AnyCommandType {
  return 'result' in type
}
