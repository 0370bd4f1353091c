import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import { importUnfinished, logMoved, type Move } from '../../log/moving.ts'
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
  /** Where it is moved to. */
  readonly to?: Move
  /** Where it came from. */
  readonly from?: Move
}

/** What the streams of a log are prepared for. */
export interface Preparation {
  /** Of a log that is made. */
  readonly partitions: number
  /** For a log that is to be moved here. */
  readonly making?: Move
  /** Prepares a log too that was moved, or is being moved. */
  readonly whateverItsMarks?: true
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
  preparation: Preparation,
): Promise<LogDescription> {
  const log = describedBy((await prepareCatalog(connection, names, preparation)).config)
  if (!preparation.whateverItsMarks) checkUsable(log, connection.where)
  const { replicas } = log
  const journals = common(names.journals, names.allOfJournals, replicas)
  await prepare(connection, { ...journals, discard: 'new' })
  return log
}

/** Makes the object store of checkpoints where there is none yet. `STORAGE_FAILED` when its stream is not of this kind. */
export async function prepareObjects(connection: Connection, names: Names, replicas: number): Promise<void> {
  const wanted = common(names.objects, [names.contents(), names.descriptions], replicas)
  await prepare(connection, { ...wanted, discard: 'new', allow_rollup_hdrs: true, allow_direct: true })
}

/** What the log of these names is; undefined where there is none. */
export async function readLog(connection: Connection, names: Names): Promise<LogDescription | undefined> {
  try {
    return describedBy((await connection.call<StreamInfo>(`STREAM.INFO.${names.catalog}`)).config)
  } catch (error) {
    if (isRefusal(error, refusals.streamUnknown)) return undefined
    throw error
  }
}

/** Notes where a log is moved to, or that it has come; what is undefined is no more. */
export async function changeMarks(
  connection: Connection,
  names: Names,
  marks: { readonly to?: Move | undefined; readonly from?: Move | undefined },
): Promise<void> {
  const { config } = await connection.call<StreamInfo>(`STREAM.INFO.${names.catalog}`)
  const description = JSON.stringify({ ...JSON.parse(config.description ?? '{}'), ...marks })
  await connection.call(`STREAM.UPDATE.${names.catalog}`, { ...config, description })
}

/** Removes every stream of a log, the one last by which it is known. */
export async function removeLog(connection: Connection, names: Names): Promise<void> {
  await removeStream(connection, names.objects)
  for (const subject of [names.topics, ...names.allOfJournals, ...names.allOfCatalog]) {
    for (;;) {
      const page = await connection.call<StreamNamesPage>('STREAM.NAMES', { subject })
      const streams = page.streams ?? []
      if (streams.length === 0) break
      for (const stream of streams) await removeStream(connection, stream)
    }
  }
}

async function removeStream(connection: Connection, stream: string): Promise<void> {
  try {
    await connection.call(`STREAM.DELETE.${stream}`)
  } catch (error) {
    if (!isRefusal(error, refusals.streamUnknown)) throw error
  }
}

interface StreamNamesPage {
  readonly streams?: readonly string[] | null
}

function describedBy(config: StreamConfiguration): LogDescription {
  const description = JSON.parse(config.description ?? '{}') as LogDescription
  return { ...description, replicas: config.num_replicas }
}

/** Throws `LOG_MOVED` or `IMPORT_UNFINISHED` where a log is not to be used. */
export function checkUsable({ to, from }: LogDescription, where: string): void {
  if (to !== undefined) throw logMoved(where, to)
  if (from?.finished === false) throw importUnfinished(where, from)
}

async function prepareCatalog(
  connection: Connection,
  names: Names,
  { partitions, making }: Preparation,
): Promise<StreamInfo> {
  const description = JSON.stringify({ millrace: 1, id: connection.runtime.id(), partitions, from: making })
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
