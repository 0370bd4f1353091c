import { MillraceError } from '../core/errors.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogExport, LogImport } from '../log/moving.ts'
import type { EngineOptions, LogEngine } from '../log/port.ts'

/** The log of an application that names none. */
export const defaultLogUrl = 'lmdb:.millrace'

/** What opening a log needs. */
export interface OpenEngineOptions extends EngineOptions {
  readonly runtime: Runtime
  /** Takes what is to be known of the servers; nothing is logged unless given. */
  readonly logger?: Logger
}

/** The parts of a log's URL. */
export interface LogUrl {
  /** `lmdb`, `memory` and so on. */
  readonly engine: string
  /** What follows the engine's name, such as a folder; empty for `memory:`. May hold a password where it names a server. */
  readonly rest: string
}

/** Takes a log's URL apart. `LOG_URL_INVALID` when it is none, or when an engine's name is followed by what it cannot use. */
export function parseLogUrl(url: string): LogUrl {
  const found = /^([a-z][a-z0-9+.-]*):(.*)$/s.exec(url)
  const [, engine = '', rest = ''] = found ?? []
  if (found === null || (engine === 'lmdb' && rest === '') || (engine === 'memory' && rest !== '')) {
    throw new MillraceError('LOG_URL_INVALID', `'${shownLogUrl(url)}' names no log.`, {
      where: 'log',
      fix: "Name it by a URL: 'lmdb:FOLDER', 'postgres://HOST/DATABASE', 'nats://HOST,HOST' or 'memory:'.",
    })
  }
  return { engine, rest }
}

/** A log's URL as it may be shown: without a user and a password. */
export function shownLogUrl(url: string): string {
  return url
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/, '$1')
    .replace(/([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*/gi, '$1…')
}

/**
 * Opens the log that `url` names: `lmdb:FOLDER`, `postgres://…`, `nats://…` or `memory:`. Only the engine that is named is loaded.
 * `LOG_URL_INVALID` or `ENGINE_UNKNOWN` for a URL that cannot be opened; and whatever the engine refuses, such as `LOG_IN_USE`.
 */
export async function openEngine(url: string, options: OpenEngineOptions): Promise<LogEngine> {
  const { engine, rest } = parseLogUrl(url)
  switch (engine) {
    case 'lmdb': {
      const { openLmdb } = await import('../engines/lmdb/lmdb-engine.ts')
      return openLmdb(rest, options)
    }
    case 'postgres':
    case 'postgresql': {
      const { openPostgres } = await import('../engines/postgres/postgres-engine.ts')
      return openPostgres(url, options)
    }
    case 'nats':
    case 'tls': {
      const { openNats } = await import('../engines/nats/nats-engine.ts')
      const { openLmdbStateStores } = await import('../engines/lmdb/state-stores.ts')
      const stores = await openLmdbStateStores(options)
      return openNats(url, { ...options, stores }).catch(async (error: unknown) => {
        await stores.close()
        throw error
      })
    }
    case 'memory': {
      const { openMemory } = await import('../engines/memory/index.ts')
      return openMemory(options)
    }
    default:
      throw new MillraceError('ENGINE_UNKNOWN', `There is no engine '${engine}'.`, {
        where: shownLogUrl(url),
        fix: "Use 'lmdb:FOLDER', 'postgres://HOST/DATABASE', 'nats://HOST,HOST' or 'memory:'.",
      })
  }
}

/** Opens the log that `url` names to be moved away; rejects as {@link openEngine} does, and as `LogExport` says. */
export async function openExport(url: string, options: { readonly runtime: Runtime }): Promise<LogExport> {
  const { engine, rest } = parseLogUrl(url)
  if (engine === 'lmdb') {
    const { exportLmdb } = await import('../engines/lmdb/export.ts')
    return exportLmdb(rest, options)
  }
  if (engine === 'postgres' || engine === 'postgresql') {
    const { exportPostgres } = await import('../engines/postgres/export.ts')
    return exportPostgres(url, options)
  }
  if (engine === 'nats' || engine === 'tls') {
    const { exportNats } = await import('../engines/nats/export.ts')
    return exportNats(url, options)
  }
  throw notMovable(engine, url)
}

/** Opens the place that `url` names so that a log is moved there; rejects as {@link openEngine} does, and as `LogImport` says. */
export async function openImport(url: string, options: { readonly runtime: Runtime }): Promise<LogImport> {
  const { engine, rest } = parseLogUrl(url)
  if (engine === 'lmdb') {
    const { importLmdb } = await import('../engines/lmdb/import.ts')
    return importLmdb(rest, options)
  }
  if (engine === 'postgres' || engine === 'postgresql') {
    const { importPostgres } = await import('../engines/postgres/import.ts')
    return importPostgres(url, options)
  }
  if (engine === 'nats' || engine === 'tls') {
    const { importNats } = await import('../engines/nats/import.ts')
    return importNats(url, options)
  }
  throw notMovable(engine, url)
}

function notMovable(engine: string, url: string): MillraceError {
  const message =
    engine === 'memory' ? 'A log in memory ends with its process.' : `There is no engine '${engine}'.`
  return new MillraceError(engine === 'memory' ? 'LOG_URL_INVALID' : 'ENGINE_UNKNOWN', message, {
    where: shownLogUrl(url),
    fix: "Name a log by 'lmdb:FOLDER', 'postgres://HOST/DATABASE' or 'nats://HOST,HOST'.",
  })
}
