import { verifyState } from '../bus/verify-state.ts'
import type { Place } from '../log/port.ts'
import type { Finding } from '../log/verification.ts'
import type { World } from './simulated-process.ts'

const everyKey = { from: '', to: '\u{10ffff}', limit: Number.MAX_SAFE_INTEGER }

/** What a verification finds in the states of all partitions of all groups, as they are committed. */
export function verifiedStates({ app, log, partitions }: World): readonly Finding[] {
  const findings: Finding[] = []
  const boundsOf = ({ topic, partition }: Place) => log.places.topics.get(topic)?.places[partition]?.bounds
  const groups = new Set([app.name, ...app.handlers.map(({ options }) => options.group ?? app.name)])
  for (const group of groups) {
    for (let partition = 0; partition < partitions; partition += 1) {
      for (const { key, value } of log.stateOf(group, partition).range(everyKey))
        findings.push(...verifyState({ group, partition, key, value }, boundsOf))
    }
  }
  return findings
}
