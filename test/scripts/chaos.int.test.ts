/**
 * Goal: no rule of the simulation is broken when processes, connections and servers of a log that several processes share fail,
 * one after the other, while events are published all the time. Method: a short run of what `npm run torture` does, on real
 * servers.
 */
import { describe, expect, it } from 'vitest'
import { chaosRound } from '../../scripts/torture/chaos/chaos-round.ts'
import { chaosEngines } from '../../scripts/torture/chaos/clusters.ts'
import { gapTable } from '../../scripts/torture/chaos/gap-table.ts'

const ofNats = ['a process is killed', 'the leader is killed', 'the leader is paused']
const faults: Readonly<Record<string, readonly string[]>> = {
  ...(chaosEngines.nats?.isHere === true ? { nats: ofNats } : { 'nats-2.9': ofNats.slice(0, 2) }),
  postgres: ['a process is killed', 'the server is killed'],
}

describe.each(Object.keys(faults).filter((name) => chaosEngines[name]?.isHere === true))(
  'an application on %s',
  (name) => {
    it('keeps every rule while all that it stands on fails, and goes on each time', {
      timeout: 240_000,
    }, async () => {
      const round = await chaosRound(name, 201, { faults: faults[name] ?? [] })
      if (round.damage.length > 0) {
        console.error(
          `NOT JUDGED: the servers have lost what they had acknowledged: ${round.damage.join('; ')}`,
        )
        return
      }
      expect(round.breaches).toEqual([])
      expect(round.gaps.map(({ fault }) => fault)).toEqual(faults[name])
      // Servers that are away are waited for.
      expect(round.gaps.map(({ refused }) => refused)).toEqual(faults[name]?.map(() => ({})))
      expect(round.acknowledged).toBeGreaterThan(100)
      expect(round.appended).toBeGreaterThan(3)
      expect(round.attempts).toBeGreaterThan(300)
    })
  },
)

describe('the table of gaps', () => {
  it('has the middle and the worst of each thing that failed', () => {
    const gaps = [1_000, 5_000, 2_000].map((handleMs) => ({
      ...{ engine: 'postgres', fault: 'the server is killed', handleMs },
      publishMs: handleMs / 2,
      refused: handleMs > 1_000 ? { UNREACHABLE: 2 } : {},
    }))
    expect(gapTable(gaps).at(-2)).toMatch(
      /^postgres: the server is killed +3 +1\.0 +2\.5 +2\.0 +5\.0 +UNREACHABLE 4$/,
    )
    expect(gapTable([])).toEqual([])
  })
})
