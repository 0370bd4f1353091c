// Ten times more events than handlers take, and then none: npm run bench:overload [-- --seconds 120 --rate 2000 --backlog 0]
//
// Handlers take `rate` events a second; publishers keep 1,000 in flight, as many as ten times that, for so many seconds, or
// until `backlog` events are in the log. Then handlers are let go, and the time until nothing waits is measured. A line a second
// shows what the process holds; anonymous memory is what counts, since the pages of the log are mapped and the system's to take.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { app, event, on, type RunningApp, start } from 'millrace'
import { z } from 'zod'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    rate: { type: 'string', default: '2000' },
    backlog: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const rate = Number(values.rate)
const backlog = Number(values.backlog)
const partitions = 16
const inFlight = 1_000
const keys = 10_000
const pad = 'x'.repeat(120)

const Loaded = event('overload.loaded', {
  schema: z.object({ key: z.string(), n: z.int(), pad: z.string() }),
  key: ({ key }) => key,
})

let isSlow = true
let handled = 0
/** Takes what `rate` allows: one event at a time in each partition. */
const slow = on(Loaded, { name: 'slow', from: 'start', concurrency: 1 }, async () => {
  if (isSlow) await sleep((partitions * 1_000) / rate)
  handled += 1
})

interface Sample {
  readonly second: number
  readonly published: number
  readonly handled: number
  readonly rssAnonMb: number
  readonly heapMb: number
  readonly externalMb: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const samples: Sample[] = []
let latencies: number[] = []
let published = 0

async function rssAnonMb(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(status)
  return found === null ? process.memoryUsage().rss / 1e6 : (Number(found[1]) * 1024) / 1e6
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** What the process holds now, and how long publishing took since the last look. */
async function look(startedMs: number): Promise<void> {
  const sorted = latencies.sort((a, b) => a - b)
  latencies = []
  const { heapUsed, external } = process.memoryUsage()
  const sample = {
    second: Math.round((performance.now() - startedMs) / 1_000),
    published,
    handled,
    rssAnonMb: Math.round(await rssAnonMb()),
    heapMb: Math.round(heapUsed / 1e6),
    externalMb: Math.round(external / 1e6),
    p50Ms: Math.round(percentile(sorted, 0.5) * 10) / 10,
    p99Ms: Math.round(percentile(sorted, 0.99) * 10) / 10,
  }
  samples.push(sample)
  if (values.json) return
  const cells = Object.entries(sample).map(([name, value]) => `${name} ${value}`)
  console.log(cells.join('  '))
}

async function publishUntil(running: RunningApp, isOver: () => boolean, rateLimit: number): Promise<void> {
  const startedMs = performance.now()
  const from = published
  const work = async () => {
    while (!isOver()) {
      const aheadMs = ((published - from) / rateLimit) * 1_000 - (performance.now() - startedMs)
      if (aheadMs > 5) await sleep(aheadMs)
      const n = published
      published += 1
      const beganMs = performance.now()
      await running.publish(Loaded, { key: `k${n % keys}`, n, pad }, { id: `e${n}` })
      latencies.push(performance.now() - beganMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work))
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-overload-'))
try {
  const running = await start(app({ name: 'overload', handlers: [slow] }), {
    log: `lmdb:${folder}`,
    partitions,
  })
  const startedMs = performance.now()
  const looking = setInterval(() => void look(startedMs), 1_000)
  const isOver = () => (backlog > 0 ? published >= backlog : performance.now() - startedMs > seconds * 1_000)
  await publishUntil(running, isOver, backlog > 0 ? Number.POSITIVE_INFINITY : rate * 10)
  const publishingMs = performance.now() - startedMs
  const waiting = published - handled
  isSlow = false
  const letGoMs = performance.now()
  await running.settled()
  const recoveryMs = performance.now() - letGoMs
  clearInterval(looking)
  await look(startedMs)
  await running.stop()
  const most = Math.max(...samples.map((sample) => sample.rssAnonMb))
  const summary = { published, publishingMs, waiting, recoveryMs, mostRssAnonMb: most }
  console.log(
    values.json
      ? JSON.stringify({ summary, samples })
      : `${published} published in ${(publishingMs / 1_000).toFixed(1)} s; ${waiting} waited when publishing ended, and were handled ${(recoveryMs / 1_000).toFixed(1)} s later; anonymous memory at most ${most} MB`,
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
