/**
 * Goal: the protocol of the journal holds whatever happens between any two of its steps, and the simulation would find it
 * if it did not. Method: simulate the probe application on journaled logs; then let the servers break one promise of
 * `LogServers` after another, as a protocol that is wrong would look, and count the seeds until a rule fails.
 */
import { describe, expect, it } from 'vitest'
import type { MemoryServers } from '../../src/engines/memory/index.ts'
import { decodeJournalValue, encodeJournalEntry } from '../../src/log/journal/journal-codec.ts'
import type { ClaimName, Journal, LogServers } from '../../src/log/journal/log-servers.ts'
import { olderProbeApp, probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { type SimulateOptions, SimulationFailed, simulate } from '../../src/testing/simulate.ts'
import type { BreakServers } from '../../src/testing/simulated-log.ts'

const journaled = {
  engine: 'journaled',
  publish: publishProbe,
  replay: replayProbe,
} as const satisfies Partial<SimulateOptions>

describe('on a log with a journal for every claim', { timeout: 120_000 }, () => {
  it('every rule holds', async () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const { history } = await simulate(probeApp, { seed, ...journaled, ...shortCourseOf(seed) })
      expect(history.attempts.length).toBeGreaterThan(0)
    }
  })

  it('every rule holds in a whole course', async () => {
    await simulate(probeApp, { seed: 21, ...journaled })
  })

  it('every rule holds where an older version of the application was there before', async () => {
    await simulate(probeApp, { seed: 22, predecessor: olderProbeApp, ...journaled, ...shortCourseOf(22) })
  })

  it('equal seeds take equal courses, and other seeds others', async () => {
    const options = { ...journaled, steps: 400, events: 8 }
    const first = await simulate(probeApp, { seed: 8, ...options })
    const again = await simulate(probeApp, { seed: 8, ...options })
    const other = await simulate(probeApp, { seed: 9, ...options })
    expect(again.traceHash).toBe(first.traceHash)
    expect(other.traceHash).not.toBe(first.traceHash)
  })
})

describe('the simulation finds a journal', { timeout: 120_000 }, () => {
  it('that takes what a former owner writes', async () => {
    const unfenced = withJournals((journal, name) => ({
      append: async (value, expectedLast) => {
        const entry = decodeJournalValue({ sequence: 0, value }, name)
        for (;;) {
          const last = await journal.last()
          const before = last === undefined ? undefined : decodeJournalValue(last, name)
          const previous = before?.sequence ?? 0
          // Only who expects another value is served otherwise: the links of the journal stay whole.
          const linked = { ...entry, previous, chain: before?.checksum ?? 0 }
          const written = previous === expectedLast ? value : encodeJournalEntry(linked).value
          const appended = await journal.append(written, previous)
          if (appended.stored) return appended
        }
      },
    }))
    expect(await breachesOf(unfenced)).not.toHaveLength(0)
  })

  it('that acknowledges a value before it is durable', async () => {
    const hasty = withJournals((journal) => {
      let held: { readonly value: Uint8Array; readonly expectedLast: number } | undefined
      const write = async () => {
        const { value, expectedLast } = held ?? {}
        held = undefined
        if (value !== undefined) await journal.append(value, expectedLast ?? 0)
      }
      return {
        append: async (value, expectedLast) => {
          await write()
          held = { value, expectedLast }
          return { stored: true, sequence: expectedLast + 1 + (expectedLast % 3) }
        },
        last: () => write().then(() => journal.last()),
        read: (after, limits) => write().then(() => journal.read(after, limits)),
      }
    })
    expect(await breachesOf(hasty)).not.toHaveLength(0)
  })
})

describe('the simulation finds an outbox', { timeout: 120_000 }, () => {
  it('that counts as forwarded before it is', async () => {
    const premature = withJournals((journal, name) => ({
      last: async () => {
        const last = await journal.last()
        if (last === undefined) return undefined
        const entry = { ...decodeJournalValue(last, name), forwarded: last.sequence }
        return { ...last, value: encodeJournalEntry(entry).value }
      },
    }))
    expect(await breachesOf(premature)).not.toHaveLength(0)
  })

  it('that former owners may go on forwarding', async () => {
    const unfenced: BreakServers = (servers) =>
      replaced(servers, {
        forward: async (origin, at, entries) => {
          for (;;) {
            const { position, revision } = await servers.mark(origin, at)
            const forwarded = await servers.forward(origin, at, entries, { position, revision })
            if (forwarded.stored) return forwarded
          }
        },
      })
    expect(await breachesOf(unfenced)).not.toHaveLength(0)
  })
})

/** A course in which faults fall close together, on logs and among processes of different numbers. */
function shortCourseOf(seed: number): Partial<SimulateOptions> {
  const events = 4 + (seed % 6)
  return { events, steps: 120 * events, processes: 2 + (seed % 2), partitions: 1 + (seed % 3), twice: false }
}

/** What is broken shows early where owners change often, and a course that fails takes long to settle. */
const short = {
  steps: 800,
  events: 12,
  processes: 2,
  partitions: 2,
  faults: { session: 0.03, storage: 0.005, crash: 0.003, handler: 0.1 },
} as const

async function breachesOf(breakServers: BreakServers, seeds = 20): Promise<readonly string[]> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      await simulate(probeApp, { seed, ...journaled, ...short, breakServers, shorterCourses: 0 })
    } catch (error) {
      if (error instanceof SimulationFailed) return error.breaches
      throw error
    }
  }
  return []
}

function withJournals(replace: (journal: Journal, name: ClaimName) => Partial<Journal>): BreakServers {
  return (servers) => {
    const journals = new Map<string, Journal>()
    return replaced(servers, {
      journal: (name) => {
        const id = `${name.partition}/${name.group}`
        const journal = journals.get(id) ?? {
          ...servers.journal(name),
          ...replace(servers.journal(name), name),
        }
        journals.set(id, journal)
        return journal
      },
    })
  }
}

function replaced(servers: MemoryServers, methods: Partial<LogServers>): LogServers {
  return new Proxy<LogServers>(servers, {
    get(target, name) {
      const replacement: unknown = Reflect.get(methods, name)
      if (replacement !== undefined) return replacement
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
