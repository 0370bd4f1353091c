import type { Event } from '../core/event.ts'
import { keyOf } from '../core/event.ts'
import { decodeEvent } from '../core/event-codec.ts'
import type { Offset, Place } from '../log/port.ts'
import type {
  AcknowledgedEvent,
  Attempt,
  CommandDecision,
  CursorSample,
  EmitObservation,
  LoggedRecord,
  OnceObservation,
  ToldAppend,
  ToldResult,
} from './history.ts'

/** What an attempt is, when it begins. */
export type AttemptStart = Pick<Attempt, 'handler' | 'process' | 'claim' | 'silent' | 'redriven'> & {
  readonly event: Event
}

/** Writes down what happens in a simulation: the trace, line by line, and the facts that become its history. */
export class Recorder {
  readonly trace: string[] = []
  readonly attempts: Attempt[] = []
  readonly acknowledged: Omit<AcknowledgedEvent, 'dueMs'>[] = []
  readonly log: LoggedRecord[] = []
  readonly cursors: CursorSample[] = []
  readonly results: ToldResult[] = []
  readonly appends: ToldAppend[] = []
  /** What must not happen whatever the faults are, such as a background task that rejects. */
  readonly problems: string[] = []
  readonly #noncePrefix: string
  #order = 0

  /** Attempts are named by the prefix and a number. */
  constructor(noncePrefix = 'a') {
    this.#noncePrefix = noncePrefix
  }

  /** Adds a line to the trace. */
  line(text: string): void {
    this.trace.push(text)
  }

  /** Adds a problem, which makes the simulation fail. */
  problem(text: string): void {
    this.trace.push(`problem: ${text}`)
    this.problems.push(text)
  }

  /** An attempt begins. */
  begin(start: AttemptStart): Attempt {
    const { event, ...rest } = start
    const attempt: Attempt = {
      ...rest,
      nonce: `${this.#noncePrefix}${this.attempts.length}`,
      source: event.source,
      id: event.id,
      type: event.type,
      key: keyOf(event),
      beganAt: this.#next(),
      emits: [],
      once: [],
    }
    this.attempts.push(attempt)
    this.line(
      `${start.process} begins ${attempt.nonce}: ${attempt.handler} of ${event.type} '${event.id}' of key '${attempt.key}'`,
    )
    return attempt
  }

  /** An attempt has emitted something. */
  emitted(attempt: Attempt, emit: EmitObservation): void {
    attempt.emits.push(emit)
  }

  /** An attempt was given a result by `once`. */
  givenOnce(attempt: Attempt, observation: OnceObservation): void {
    attempt.once.push(observation)
  }

  /** The handler of a command has returned its answer. */
  decided(attempt: Attempt, decision: CommandDecision): void {
    attempt.decision = decision
  }

  /** Somebody is told of a command. */
  told(command: Pick<ToldResult, 'source' | 'id'>, told: ToldResult['told'], isFinal: boolean): void {
    const { source, id } = command
    this.results.push({ source, id, told, at: this.log.length, isFinal })
    this.line(`told of '${id}': ${JSON.stringify(told)}`)
  }

  /** Somebody is told of an append to a stream. */
  appendTold(append: ToldAppend): void {
    this.appends.push(append)
    this.line(`told of append '${append.append}': ${JSON.stringify(append.told)}`)
  }

  /** An attempt ends. */
  end(attempt: Attempt, outcome: 'returned' | 'threw', why = ''): void {
    attempt.endedAt = this.#next()
    attempt.outcome = outcome
    this.line(`${attempt.process} ends ${attempt.nonce}: ${outcome}${why === '' ? '' : ` ${why}`}`)
  }

  /** A record has become visible. */
  appended(at: Place, offset: Offset, value: Uint8Array, step: number): void {
    const event = decodeEvent(value)
    this.log.push({ topic: at.topic, partition: at.partition, offset, event, step })
    this.line(
      `log: ${at.topic}/${at.partition} ${offset} ${event.type} '${event.id}' of key '${keyOf(event)}'`,
    )
  }

  #next(): number {
    this.#order += 1
    return this.#order
  }
}
