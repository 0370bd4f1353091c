import type { LogContents, PlaceEnds } from '../../log/moving.ts'
import type { Place, Topic } from '../../log/port.ts'

/** A place with where it begins and ends. */
export interface SurveyedPlace {
  readonly at: Place
  readonly ends: PlaceEnds
}

/** What there is to move. */
export interface LogSurvey {
  readonly partitions: number
  readonly topics: readonly Topic[]
  /** Those that have had a record, topic by topic. */
  readonly places: readonly SurveyedPlace[]
  readonly groups: readonly string[]
  /** How many offsets there are between the starts and the ends: as many as records, or more where offsets were skipped. */
  readonly offsets: number
}

/** Looks at what a log holds, without reading it. */
export async function surveyLog(log: LogContents): Promise<LogSurvey> {
  const { partitions } = log
  const topics = sortTopics(await log.listTopics())
  const places: SurveyedPlace[] = []
  let offsets = 0
  for (const { name: topic } of topics) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const at = { topic, partition }
      const ends = await log.ends(at)
      if (ends.end === 0) continue
      places.push({ at, ends })
      offsets += ends.end - ends.start
    }
  }
  return { partitions, topics, places, groups: sortGroups(await log.listGroups()), offsets }
}

/** Topics in the order that all logs can be compared in: engines sort names each in their own way. */
export function sortTopics(topics: readonly Topic[]): readonly Topic[] {
  return topics.toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** Groups, likewise. */
export function sortGroups(groups: readonly string[]): readonly string[] {
  return groups.toSorted()
}
