import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import type { Connection } from './connection.ts'
import { isRefusal, Refused, refusals } from './failures.ts'
import type { Names } from './names.ts'
import type { StreamConfiguration, StreamInfo } from './topics.ts'

/** What a log is, as its catalog says. */
export interface LogDescription {
  /** Names this log and no other. */
  readonly id: string
  readonly partitions: number
  /** Of each of its streams. */
  readonly replicas: number
}

/** For so long two that would follow the same message are told apart by their ids; see `behindHeaders`. */
const windowNanoseconds = 10 * 60 * 1_000_000_000
/** Streams of a cluster have so many replicas; those of a single server one. */
const clusterReplicas = 3
const replicasUnsupported = 10074

/** Finds the streams that every log has, and makes those that are missing. `STORAGE_FAILED` when one is not of this kind. */
export async function prepareStreams(
  connection: Connection,
  names: Names,
  partitions: number,
): Promise<LogDescription> {
  const { config } = await prepareCatalog(connection, names, partitions)
  const { id, partitions: kept } = JSON.parse(config.description ?? '{}') as LogDescription
  const replicas = config.num_replicas
  const journals = common(names.journals, names.allOfJournals, replicas)
  await prepare(connection, { ...journals, discard: 'new' })
  return { id, partitions: kept, replicas }
}

async function prepareCatalog(connection: Connection, names: Names, partitions: number): Promise<StreamInfo> {
  const description = JSON.stringify({ millrace: 1, id: connection.runtime.id(), partitions })
  const wanted = (replicas: number): StreamConfiguration => ({
    ...common(names.catalog, names.allOfCatalog, replicas),
    description,
    max_msgs_per_subject: 1,
  })
  try {
    return await prepare(connection, wanted(clusterReplicas))
  } catch (error) {
    // A server that is not part of a cluster has one replica; a cluster that cannot have three now must not do with less.
    if (!isRefusal(error, replicasUnsupported)) throw error
    return await prepare(connection, wanted(1))
  }
}

function common(name: string, subjects: readonly string[], replicas: number): StreamConfiguration {
  const duplicateWindow = { duplicate_window: windowNanoseconds }
  return { name, subjects, storage: 'file', retention: 'limits', num_replicas: replicas, ...duplicateWindow }
}

async function prepare(connection: Connection, wanted: StreamConfiguration): Promise<StreamInfo> {
  const { name } = wanted
  for (;;) {
    try {
      const found = await connection.call<StreamInfo>(`STREAM.INFO.${name}`)
      const { subjects, retention, storage } = found.config
      const isOurs =
        isDeepStrictEqual(subjects, wanted.subjects) && retention === 'limits' && storage === 'file'
      if (!isOurs || (found.config.max_msgs_per_subject ?? -1) !== (wanted.max_msgs_per_subject ?? -1)) {
        throw foreignStream(connection.where, name)
      }
      return found
    } catch (error) {
      if (!isRefusal(error, refusals.streamUnknown)) throw error
    }
    try {
      return await connection.call<StreamInfo>(`STREAM.CREATE.${name}`, wanted)
    } catch (error) {
      if (!(error instanceof Refused) || error.number !== refusals.streamExists) throw error
    }
  }
}

function foreignStream(where: string, name: string): MillraceError {
  return new MillraceError('STORAGE_FAILED', `There is a stream '${name}' that is not one of a log.`, {
    where,
    fix: 'Name the log otherwise, by the path of its URL, or remove that stream.',
    facts: { stream: name },
  })
}
