import { encodeEvent } from '../../../src/core/event-codec.ts'
import { MemoryLog, openMemory } from '../../../src/engines/memory/index.ts'
import type { Claim, Entry, LogEngine } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { SeededRandom } from '../../../src/testing/random.ts'

/** How many partitions the logs have. */
export const partitions = 3
const encoder = new TextEncoder()

/** An event of the tests, as the publisher makes its entry. */
export function entryOf(topic: string, id: string, data: unknown, timeMs: number): Entry {
  const event = { specversion: '1.0', id, source: 'moving', type: 'moving.tested', data } as const
  const value = encodeEvent({ ...event, time: new Date(timeMs).toISOString() })
  return { topic, partition: id.length % partitions, value, timeMs, deduplicationId: `moving ${id}` }
}

/** A log in memory with topics, records, groups and state, made by chance. */
export async function filledLog(seed: number): Promise<{
  readonly log: MemoryLog
  readonly runtime: ManualRuntime
  readonly entries: readonly Entry[]
}> {
  const random = new SeededRandom(seed, 'filled log')
  const runtime = new ManualRuntime()
  const log = new MemoryLog()
  const engine = openMemory({ log, runtime, partitions })
  const topics = ['orders', 'parcels', 'unused'].slice(0, 1 + random.below(3))
  for (const topic of topics) await engine.createTopic(topic, { retention: { maxBytes: 1_000_000 } })
  const claims = await claimsOf(engine, ['makers', 'readers'].slice(0, random.below(3)))
  const entries: Entry[] = []
  const steps = 20 + random.below(60)
  for (let step = 0; step < steps; step += 1) {
    runtime.advance(random.below(1000))
    const topic = topics[random.below(topics.length)] ?? 'orders'
    const entry = entryOf(topic, 'x'.repeat(1 + random.below(9)) + step, { step }, runtime.now())
    entries.push(entry)
    const claim = claims[random.below(claims.length)]
    if (claim === undefined || random.below(3) > 0) await engine.append([entry])
    else await claim.commit(changeOf(random, topic, entry))
    if (random.below(20) === 0) {
      await engine.trim({ topic, partition: random.below(partitions) }, { before: random.below(10) })
    }
  }
  await engine.close()
  return { log, runtime, entries }
}

async function claimsOf(engine: LogEngine, groups: readonly string[]): Promise<Claim[]> {
  const claims: Claim[] = []
  for (const group of groups) await engine.join(group, { id: 'one' }, (claim) => claims.push(claim))
  return claims
}

function changeOf(random: SeededRandom, topic: string, entry: Entry) {
  const prefix = ['state/counter/total', 'subscription', 'timer'][random.below(3)]
  const puts = Array.from({ length: random.below(4) }, (_, index) => {
    return {
      key: `${prefix}/${random.below(30)}-${index}`,
      value: encoder.encode(`value ${random.below(99)}`),
    }
  })
  return {
    puts,
    deletes: [`timer/${random.below(30)}-0`],
    appends: [entry],
    needs: { [topic]: random.below(5) },
  }
}
