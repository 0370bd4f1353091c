import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'
import type { AddressOf } from './addressing.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { Door } from './door.ts'
import type { HandlerFilters } from './handler-filters.ts'
import type { InternalTopics } from './internal-topics.ts'
import type { Observers } from './observers.ts'
import type { RecordCache } from './record-cache.ts'
import type { ApplicationRules } from './rules/application-rules.ts'
import type { SourceContext, SourceDefinition } from './source.ts'
import type { HandlerCounts } from './status.ts'

/** What the processors of one group share. */
export interface GroupTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly logger: Logger
  readonly door: Door
  readonly cache: RecordCache
  readonly observers: Pick<Observers, 'appended'>
  readonly group: string
  readonly source: string
  readonly hopLimit: number
  readonly internal: InternalTopics
  /** Where publishers of this application wait for replies, whatever the group of the handler. */
  readonly repliesTopic: string
  readonly handlers: readonly HandlerDefinition[]
  readonly counts: ReadonlyMap<string, HandlerCounts>
  /** Handlers that are gone and whose work is to be dropped. */
  readonly forget: ReadonlySet<string>
  /** Those of them that had left something behind. */
  readonly forgotten: Set<string>
  readonly addressOf: AddressOf
  readonly filters: HandlerFilters
  readonly rules: ApplicationRules
  /** The sources that the owners of the group's partitions take in, and what they are opened with. */
  readonly sources: readonly SourceDefinition[]
  readonly openTableFeed: SourceContext['openTableFeed']
  /** Whether this group does what rules say: the application's own does, every other only heeds them. */
  readonly actsOnRules: boolean
  topicsOf(definition: HandlerDefinition): readonly string[]
  ensureTopic(name: string): Promise<void> | undefined
  /** Something was committed somewhere. */
  progressed(): void
}
