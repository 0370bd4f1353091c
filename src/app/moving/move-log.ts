import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import { type LogExport, type LogImport, logMoved, logOccupied, type Move } from '../../log/moving.ts'
import { type ComparedLogs, claimsOf, compareLogs } from './compare-logs.ts'
import { recordsOf, stateOf } from './contents.ts'
import { type MovedIds, moveIds } from './move-ids.ts'
import { type LogSurvey, type SurveyedPlace, surveyLog } from './survey.ts'

/** What is being done, and how far it is. */
export interface MoveProgress {
  readonly phase: 'records' | 'state' | 'ids' | 'verifying'
  /** Records, values of the state or ids of this phase that are done. */
  readonly done: number
  /** How much of the phase is done, from 0 to 1; undefined where that is not known. */
  readonly fraction?: number
}

/** One end of a move. */
export interface MoveEnd<Log> {
  readonly log: Log
  /** Its URL without a password. */
  readonly name: string
}

/** Options of {@link moveLog}. */
export interface MoveOptions {
  readonly source: MoveEnd<LogExport>
  readonly target: MoveEnd<LogImport>
  readonly runtime: Pick<Runtime, 'id'>
  /** Leaves the source as it was when all is done. */
  readonly keepSource: boolean
  readonly onProgress: (progress: MoveProgress) => void
}

/** What was moved. */
export interface MovedLog extends ComparedLogs {
  readonly topics: number
  readonly groups: number
  readonly ids: MovedIds
}

/**
 * Moves a log: everything that the source holds is in the target afterwards, read back and compared, and the source is marked as moved.
 * Where a move was cut off it goes on; undefined when it was finished before. From its beginning nobody but the move can open either
 * log, and there is no moment at which both can be used, unless the source is kept. Rejects with `LOG_MOVED` when the source was moved
 * elsewhere, `LOG_OCCUPIED` when there is something else at the target, and `LOGS_DIFFER` when they are not the same at the end.
 */
export async function moveLog(options: MoveOptions): Promise<MovedLog | undefined> {
  const { source, target, runtime, keepSource, onProgress } = options
  const mark = source.log.mark
  checkEnds(options)
  if (target.log.found === 'log') {
    await source.log.setMark(keepSource || mark === undefined ? undefined : { ...mark, finished: true })
    return undefined
  }
  const id = mark?.id ?? runtime.id()
  // Of a move that was cut off before the target was begun it is not known whether the mark did all that it does.
  if (mark === undefined || target.log.found === 'nothing') {
    await source.log.setMark({ id, other: target.name, finished: false })
  }
  await target.log.begin({ id, other: source.name, finished: false }, source.log.partitions)
  const survey = await surveyLog(source.log)
  await copyRecords(options, survey)
  await copyClaims(options, survey)
  const ids = await moveIds(source.log, target.log, (done) => onProgress({ phase: 'ids', done }))
  const compared = await compareLogs(source.log, survey, target.log, (done) =>
    onProgress({ phase: 'verifying', done, fraction: done / Math.max(1, survey.offsets) }),
  )
  await target.log.finish()
  await source.log.setMark(keepSource ? undefined : { id, other: target.name, finished: true })
  return { topics: survey.topics.length, groups: survey.groups.length, ids, ...compared }
}

/** Throws what stands in the way of a move, without changing anything. */
export function checkEnds({ source, target }: Pick<MoveOptions, 'source' | 'target'>): void {
  const { mark } = source.log
  const { found, origin } = target.log
  const isSame = mark !== undefined && mark.id === origin?.id
  if (mark !== undefined && !isSame && (mark.finished || mark.other !== target.name)) {
    throw logMoved(source.name, mark)
  }
  if (found === 'nothing' || isSame) return
  if (found === 'log') throw logOccupied(target.name)
  throw logOccupied(target.name, `Another log, '${origin?.other}', is being moved there.`)
}

/**
 * Gives up a move that is not finished: removes what is at the target, and makes the source a log like any other again. `LOG_MOVED`
 * when it is finished, and `LOG_OCCUPIED` when what is at the target is of no such move.
 */
export async function abandonMove(options: Pick<MoveOptions, 'source' | 'target'>): Promise<void> {
  const { source, target } = options
  const { mark } = source.log
  checkEnds(options)
  if (target.log.found === 'log' && mark !== undefined) throw alreadyWhole(target.name, mark)
  // A move that was cut off early may have left something behind that is no import yet.
  if (target.log.found !== 'log') await target.log.drop()
  if (mark !== undefined) await source.log.setMark(undefined)
}

function alreadyWhole(where: string, { other, id }: Move): MillraceError {
  return new MillraceError('LOG_MOVED', 'Everything has been moved already, and the new log may be in use.', {
    where,
    fix: 'Start the application with the new log; to go back, move that one.',
    facts: { to: other, finished: true, id },
  })
}

async function copyRecords({ source, target, onProgress }: MoveOptions, survey: LogSurvey): Promise<void> {
  for (const topic of survey.topics) await target.log.createTopic(topic)
  let done = 0
  let passed = 0
  const tell = (offsets: number, records: number) => {
    passed += offsets
    done += records
    onProgress({ phase: 'records', done, fraction: passed / Math.max(1, survey.offsets) })
  }
  for (const place of survey.places) await copyPlace(source.log, target.log, place, tell)
}

async function copyPlace(
  source: LogExport,
  target: LogImport,
  { at, ends }: SurveyedPlace,
  tell: (offsets: number, records: number) => void,
): Promise<void> {
  const { next, ended } = await target.reached(at)
  let from = ended ? ends.end : Math.max(next, ends.start)
  tell(from - ends.start, 0)
  if (ended) return
  let { lastTimeMs } = next === 0 ? { lastTimeMs: Number.NEGATIVE_INFINITY } : await target.ends(at)
  for await (const records of recordsOf(source, at, { offset: from, timeMs: lastTimeMs })) {
    await target.addRecords(at, records)
    const last = records.at(-1)
    const reached = (last?.offset ?? from) + 1
    lastTimeMs = last?.timeMs ?? lastTimeMs
    tell(reached - from, records.length)
    from = reached
  }
  await target.endPlace(at, { ...ends, lastTimeMs: Math.max(lastTimeMs, ends.lastTimeMs) })
  tell(ends.end - from, 0)
}

async function copyClaims({ source, target, onProgress }: MoveOptions, survey: LogSurvey): Promise<void> {
  const claims = [...claimsOf(survey)]
  let done = 0
  for (const [index, of] of claims.entries()) {
    const tell = () => onProgress({ phase: 'state', done, fraction: index / claims.length })
    tell()
    if (await target.log.hasClaim(of)) continue
    const counted = counting(stateOf(source.log, of), (count) => {
      done += count
      tell()
    })
    await target.log.addClaim(of, await source.log.claim(of), counted)
  }
}

async function* counting<Value>(
  portions: AsyncIterable<readonly Value[]>,
  count: (values: number) => void,
): AsyncGenerator<readonly Value[], void> {
  for await (const portion of portions) {
    yield portion
    count(portion.length)
  }
}
