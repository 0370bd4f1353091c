// How long the ways from an event to what reacts to it take, one after another on an idle system:
// npm run bench:propagation -- [--events N] [--only NAME] [--json FILE]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type RunningApp, start } from 'millrace'
import { machine } from './harness/machine.ts'
import { allWays, type Way, ways } from './propagation/ways.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2000' },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})
const events = Number(values.events)
if (!Number.isSafeInteger(events) || events < 1)
  throw new TypeError('--events must be a whole number, at least 1')
const chosen = allWays.filter(({ name }) => values.only?.includes(name) ?? true)
if (chosen.length === 0)
  throw new TypeError(`--only must be one of: ${allWays.map(({ name }) => name).join(', ')}`)

interface Figures {
  readonly engine: string
  readonly name: string
  readonly what: string
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Every way takes its turn in every round, so that what else the machine does falls on all of them. */
const rounds = 10

async function measure(running: RunningApp, { once }: Way, round: number): Promise<readonly number[]> {
  const tookMs: number[] = []
  const count = Math.ceil(events / rounds)
  for (let n = 0; n < count; n += 1) {
    tookMs.push(await once(running, round * count + n))
    // What is still under way would be measured with the next one.
    await running.settled()
  }
  return tookMs
}

async function measureAll(engine: string, log: string): Promise<readonly Figures[]> {
  const running = await start(ways, { log })
  const tookMs = new Map<Way, number[]>(chosen.map((way) => [way, []]))
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [way, all] of tookMs) {
        const ofRound = await measure(running, way, round)
        // The first round warms up and does not count.
        if (round > 0) all.push(...ofRound)
      }
      console.error(`${engine}: round ${round} of ${rounds}`)
    }
  } finally {
    await running.stop({ now: true })
  }
  return [...tookMs].map(([{ name, what }, all]) => {
    const sorted = all.toSorted((one, other) => one - other)
    const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN
    return { engine, name, what, p50: at(0.5), p99: at(0.99) }
  })
}

function shown(ms: number): string {
  return ms < 0.1 ? `${(ms * 1_000).toFixed(1)} µs` : `${ms.toFixed(2)} ms`
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-propagation-'))
try {
  const memory = await measureAll('memory', 'memory:')
  const lmdb = await measureAll('lmdb', `lmdb:${join(folder, 'log')}`)
  const rows = memory.map((row, index) => {
    const durable = lmdb[index] as Figures
    return `| ${row.name} | ${row.what} | ${[row.p50, row.p99, durable.p50, durable.p99].map(shown).join(' | ')} |`
  })
  console.log(
    '| way | measured | memory p50 | memory p99 | lmdb p50 | lmdb p99 |\n| --- | --- | --- | --- | --- | --- |',
  )
  console.log(rows.join('\n'))
  const report = { machine: machine(), node: process.versions.node, events, figures: [...memory, ...lmdb] }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
