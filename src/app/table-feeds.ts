import type { SourceContext } from '../bus/source.ts'
import type { Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'

/** Opens feeds of tables: of the database of the log, where that is named by a URL of one, unless another is given. */
export function tableFeedOpener(
  log: string | LogEngine | undefined,
  runtime: Runtime,
): SourceContext['openTableFeed'] {
  const ofLog = typeof log === 'string' && /^postgres(ql)?:/.test(log) ? log : undefined
  return async ({ database = ofLog, ...options }) => {
    if (database === undefined) {
      throw new TypeError(
        `source '${options.name}': give 'database', the URL of its PostgreSQL: the log is in none that a URL names`,
      )
    }
    const { openTableFeed } = await import('../engines/postgres/changes/open-table-feed.ts')
    return openTableFeed({ ...options, database, runtime })
  }
}
