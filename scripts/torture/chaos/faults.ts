import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../../../src/testing/random.ts'
import type { Cluster } from './cluster.ts'
import type { Fleet } from './fleet.ts'

/** What a fault has to do with. */
export interface FaultContext {
  readonly fleet: Fleet
  readonly random: SeededRandom
}

/** Something that fails for a while; resolves once it is mended. */
export type Fault = (context: FaultContext) => Promise<void>

/** Shorter and longer than an owner is waited for. */
const briefly = [1, 3_000] as const
const long = [7_500, 10_000] as const

type Range = readonly [leastMs: number, mostMs: number]

function durationMs([leastMs, mostMs]: Range, random: SeededRandom): number {
  return random.between(leastMs, mostMs)
}

const processFaults: Readonly<Record<string, Fault>> = {
  'nothing fails': () => sleep(4_000),
  async 'a process is killed'({ fleet, random }) {
    const member = random.pick(fleet.members)
    await fleet.kill(member)
    await sleep(random.between(0, 5_000))
    await fleet.start(member)
  },
  async 'a process is replaced'({ fleet, random }) {
    const member = random.pick(fleet.members)
    await fleet.stop(member)
    await fleet.start(member)
  },
  async 'all processes are replaced in turn'({ fleet }) {
    for (const member of fleet.members) {
      await fleet.stop(member)
      await fleet.start(member)
    }
  },
  async 'a process is paused briefly'(context) {
    await pause(context, briefly)
  },
  async 'a process is paused for long'(context) {
    await pause(context, long)
  },
  async 'connections are cut'({ fleet, random }) {
    const { proxies } = random.pick(fleet.members)
    for (const proxy of proxies) proxy.cut()
    await sleep(durationMs(random.pick([briefly, long]), random))
    for (const proxy of proxies) await proxy.mend()
  },
  async 'connections are silent'({ fleet, random }) {
    const { proxies } = random.pick(fleet.members)
    for (const proxy of proxies) proxy.silence()
    await sleep(durationMs(random.pick([briefly, long]), random))
    for (const proxy of proxies) await proxy.mend()
  },
  async 'connections are half open'({ fleet, random }) {
    for (const proxy of random.pick(fleet.members).proxies) proxy.orphan()
  },
  async 'connections are slow'({ fleet, random }) {
    const { proxies } = random.pick(fleet.members)
    for (const proxy of proxies) proxy.delay(random.between(20, 250))
    await sleep(random.between(1_000, 5_000))
    for (const proxy of proxies) await proxy.mend()
  },
}

async function pause({ fleet, random }: FaultContext, range: Range): Promise<void> {
  const { process } = random.pick(fleet.members)
  process?.signal('SIGSTOP')
  await sleep(durationMs(range, random))
  process?.signal('SIGCONT')
}

/** Everything that can happen, by what it is called. */
export function faultsOf(cluster: Cluster): Readonly<Record<string, Fault>> {
  const ofServers = Object.entries(cluster.faults).map(([name, fault]) => {
    return [name, ({ random }: FaultContext) => fault(random)] as const
  })
  return { ...processFaults, ...Object.fromEntries(ofServers) }
}
