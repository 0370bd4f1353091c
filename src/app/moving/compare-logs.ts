import { isDeepStrictEqual } from 'node:util'
import { isHandlerState } from '../../bus/state-layout.ts'
import { MillraceError } from '../../core/errors.ts'
import { RecordHash, StateHash } from '../../log/log-hash.ts'
import type { ClaimName, LogContents } from '../../log/moving.ts'
import type { LogHashes } from '../../log/verification.ts'
import { haveEqualEnds, recordsOf, stateOf } from './contents.ts'
import { type LogSurvey, type SurveyedPlace, sortGroups, sortTopics } from './survey.ts'

/** What was compared, and is equal. */
export interface ComparedLogs {
  readonly records: number
  readonly stateValues: number
  /** As a backup of either log has them. */
  readonly hashes: LogHashes
}

/** One log, as it is being read for a comparison. */
class Reading {
  readonly log: LogContents
  readonly records = new RecordHash()
  /** Of all values, and of those that handlers keep. */
  readonly state = new StateHash()
  readonly handlerState = new StateHash()
  recordCount = 0
  valueCount = 0

  constructor(log: LogContents) {
    this.log = log
  }

  async readPlace({ at, ends }: SurveyedPlace, onRecords: (count: number) => void): Promise<string> {
    for await (const records of recordsOf(this.log, at, {
      offset: ends.start,
      timeMs: Number.NEGATIVE_INFINITY,
    })) {
      for (const record of records) this.records.add(at, record)
      this.recordCount += records.length
      onRecords(records.length)
    }
    return this.records.endPlace(at)
  }

  async readClaim(of: ClaimName): Promise<string> {
    for await (const values of stateOf(this.log, of)) {
      for (const each of values) {
        this.state.add(of, each)
        if (isHandlerState(each.key)) this.handlerState.add(of, each)
      }
      this.valueCount += values.length
    }
    return this.state.endClaim(of)
  }

  get result(): ComparedLogs {
    return {
      records: this.recordCount,
      stateValues: this.valueCount,
      hashes: { records: this.records.digest(), state: this.handlerState.digest() },
    }
  }
}

/**
 * Reads two logs to their ends, one of them as it was surveyed, and rejects with `LOGS_DIFFER` at the first place or claim that is not
 * the same in both.
 */
export async function compareLogs(
  source: LogContents,
  survey: LogSurvey,
  target: LogContents,
  onProgress: (records: number) => void,
): Promise<ComparedLogs> {
  const [one, other] = [new Reading(source), new Reading(target)]
  const topics = sortTopics(await target.listTopics())
  if (!isDeepStrictEqual(topics, survey.topics)) throw differ('topics', 'The topics, or their options,')
  let records = 0
  const tell = (count: number) => {
    records += count
    onProgress(records)
  }
  for (const place of survey.places) {
    const { at, ends } = place
    const where = `${at.topic}/${at.partition}`
    if (!haveEqualEnds(ends, await target.ends(at)))
      throw differ(where, 'Where the partition begins and ends')
    const [before, after] = await Promise.all([
      one.readPlace(place, tell),
      other.readPlace(place, () => undefined),
    ])
    if (before !== after) throw differ(where, 'The records of the partition')
  }
  const groups = sortGroups(await target.listGroups())
  if (!isDeepStrictEqual(groups, survey.groups)) throw differ('groups', 'The groups')
  for (const of of claimsOf(survey)) await compareClaims(one, other, of)
  return other.result
}

async function compareClaims(one: Reading, other: Reading, of: ClaimName): Promise<void> {
  const where = `${of.group}/${of.partition}`
  const [before, after] = await Promise.all([one.log.claim(of), other.log.claim(of)])
  const isFenced = after.epoch >= before.epoch
  if (!isFenced || !isDeepStrictEqual(before.needs, after.needs)) {
    throw differ(where, 'What the group needs, or its epoch,')
  }
  const [stateBefore, stateAfter] = await Promise.all([one.readClaim(of), other.readClaim(of)])
  if (stateBefore !== stateAfter) throw differ(where, 'The state of the partition')
}

/** All claims of the groups, one after the other. */
export function* claimsOf({ groups, partitions }: LogSurvey): Generator<ClaimName> {
  for (const group of groups) {
    for (let partition = 0; partition < partitions; partition += 1) yield { group, partition }
  }
}

function differ(where: string, what: string): MillraceError {
  return new MillraceError('LOGS_DIFFER', `${what} are not the same in both logs.`, {
    where,
    fix: 'Give the migration up with --abandon, look for damage with `millrace doctor`, and start anew.',
  })
}
