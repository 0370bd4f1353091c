import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningApp, start } from 'millrace'
import { benchApp, fill, noop, publisher } from '../harness/bench-app.ts'
import { closedLoop } from '../harness/load.ts'
import type { Figure, Round, Row, Settings } from '../harness/row.ts'

/** A log with so many partitions, filled like the others, under publish and handle. */
async function startWith(partitions: number, settings: Settings) {
  const folder = await mkdtemp(join(settings.folder, 'partitions-'))
  const subject = benchApp({ handlers: [noop] })
  const filling = await start(benchApp(), { log: `lmdb:${folder}`, partitions })
  // Four logs of a million would take longer to fill than to measure.
  await fill(filling, settings.prefill / 10)
  await filling.stop()
  const running: RunningApp = await start(subject, { log: `lmdb:${folder}` })
  const publish = publisher(running)
  let from = 0
  const measure = async (): Promise<number> => {
    const { seconds } = settings
    const { calls, figures } = await closedLoop(publish, { seconds, from, until: () => running.settled() })
    from += calls
    return figures.rate ?? Number.NaN
  }
  const stop = async () => {
    await running.stop({ now: true })
    await rm(folder, { recursive: true, force: true })
  }
  return { measure, stop }
}

const figureOf = (partitions: string): Figure => ({ name: partitions, unit: 'events/s' })

const row: Row = {
  name: 'partitions',
  what: 'publish → handler → done, partitions',
  figures: ['1', '4', '64'].map(figureOf),
  ours: {
    what: 'millrace',
    async start(settings) {
      const logs = new Map<string, Awaited<ReturnType<typeof startWith>>>()
      for (const { name } of row.figures) logs.set(name, await startWith(Number(name), settings))
      const round = async (): Promise<Round> => {
        const figures: Record<string, number> = {}
        for (const [name, { measure }] of logs) figures[name] = await measure()
        return { figures }
      }
      const stop = async () => {
        for (const log of logs.values()) await log.stop()
      }
      return { round, stop }
    },
  },
  peer: {
    what: 'millrace, 16',
    async start(settings) {
      const { measure, stop } = await startWith(16, settings)
      const round = async (): Promise<Round> => {
        const measured = await measure()
        return { figures: Object.fromEntries(row.figures.map(({ name }) => [name, measured])) }
      }
      return { round, stop }
    },
  },
}
export default row
