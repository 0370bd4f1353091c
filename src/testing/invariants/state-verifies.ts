import type { Invariant } from '../history.ts'

/**
 * What is left in the states of all partitions is what the processor lays out there, and stands for records that are in the log: as
 * `millrace doctor` verifies it on a log that is stopped.
 */
export const stateVerifies: Invariant = ({ findings = [] }) => {
  return findings.map(({ where, problem }) => `${where}: ${problem}`)
}
