import type { SeededRandom } from '../../../src/testing/random.ts'

/** Something that fails for a while; resolves once it is mended. */
export type ServerFault = (random: SeededRandom) => Promise<void>

/** The servers that a log is on. */
export interface Cluster {
  /** Where they listen. */
  readonly ports: readonly number[]
  /** The URL of the log, where the servers are reached by these ports, in the order of {@link Cluster.ports}. */
  url(ports: readonly number[]): string
  /** What can happen to the servers, by what it is called. */
  readonly faults: Readonly<Record<string, ServerFault>>
  /** Whether servers such as these are known to lose what they have acknowledged: what is broken then is not held against ours. */
  readonly mayLose: boolean
  /** What is wrong with the servers themselves, a sentence for each: then nobody can keep rules on them. */
  damage(): Promise<readonly string[]>
  remove(): Promise<void>
}
