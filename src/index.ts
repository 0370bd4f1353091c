/** What an application is made of: events, handlers, routes, and starting it in a program. Importing it starts nothing. */
export type { App, AppOptions, AppTopicOptions } from './app/app.ts'
export { app, isApp } from './app/app.ts'
export type {
  Method,
  PathParameters,
  RouteContext,
  RouteDefinition,
  RouteHandler,
  RouteOptions,
  RouteRequest,
} from './app/http.ts'
export { http } from './app/http.ts'
export type { Main, MainOptions } from './app/main.ts'
export type { RunningApp, StartOptions } from './app/running.ts'
export { start } from './app/start.ts'
export type { SendTarget, SentTo } from './bus/addressing.ts'
export type { DeadLetter } from './bus/dead-letter.ts'
export type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterPage,
  DeadLetterSelection,
  DeadLetterSummary,
  DeadLettersAsked,
  DeadLettersOutcome,
  DeadLetterWait,
  DiscardOptions,
  RedriveOptions,
  ShownDeadLetter,
} from './bus/dead-letter-list.ts'
export type { DeadLetters } from './bus/dead-letters.ts'
export type {
  EmitOptions,
  EveryOptions,
  From,
  Handler,
  HandlerContext,
  HandlerDefinition,
  OnceOptions,
  OnOptions,
  RetryOptions,
  StateCell,
  StateSchemas,
  StateSnapshot,
  Tick,
} from './bus/definitions.ts'
export { every, on } from './bus/definitions.ts'
export type { EventFilter } from './bus/event-filter.ts'
export type { Route, RouteCondition, RoutedEvent, RouteMatch } from './bus/explain.ts'
export type {
  BestEffortObserver,
  BestEffortWatch,
  ObservedPlace,
  WatchCounts,
  WatchOptions,
} from './bus/observers.ts'
export type {
  Published,
  PublishedIn,
  PublishInOptions,
  PublishOptions,
  SendOptions,
} from './bus/publisher.ts'
export type { RequestOptions, SubmitOptions, Submitted } from './bus/requests.ts'
export type { Rule, RuleAction, RulePattern, RulePolicy } from './bus/rules/rule.ts'
export type { RuleChange } from './bus/rules/rule-book.ts'
export type { RecordedChange } from './bus/rules/rule-history.ts'
export type { RuleTrial, RuleTrialHit, RuleTrialOptions } from './bus/rules/rule-trial.ts'
export type { RuleChangeNote, RuleCounts, RuleList, RuleStatus, Rules } from './bus/rules/rules.ts'
export type { OpenSource, SourceBatch, SourceContext, SourceDefinition, SourceEvent } from './bus/source.ts'
export type { HandlerStatus, HandlersOverview, ProcessPart } from './bus/status.ts'
export type {
  AnyCommandType,
  CommandOptions,
  CommandOutcome,
  CommandState,
  CommandType,
  Failed,
  FailureOf,
  ResultOf,
} from './core/command.ts'
export { command, failed } from './core/command.ts'
export type { ErrorCode } from './core/errors.ts'
export { errorCodes, isMillraceError, MillraceError, TerminalError } from './core/errors.ts'
export type { AnyEventType, Event, EventOptions, EventType } from './core/event.ts'
export { event } from './core/event.ts'
export type { Logger, Runtime } from './core/runtime.ts'
export type { Schema } from './core/schema.ts'
export type { ExpectedVersion } from './eventstore/append-request.ts'
export type { NewStreamEvent, StreamDefinition, StreamOptions } from './eventstore/stream.ts'
export { stream } from './eventstore/stream.ts'
export type { AppendOptions, AppendResult } from './eventstore/streams.ts'
export type { RefusedRowChange, RowChangeData } from './sources/row-change-schema.ts'
export type { TableChanges, TableChangesOptions } from './sources/table-changes.ts'
export { tableChanges } from './sources/table-changes.ts'
