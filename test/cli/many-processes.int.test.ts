/**
 * Goal: any number of `millrace start` on one log are one application: any of them answers for all, and they can be replaced one
 * after the other under load. Method: real processes and servers; callers at the ports of the application all the time.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { HandlersOverview } from '../../src/bus/status.ts'
import { type LogServers, sharedEngines } from '../engines/shared-logs.ts'
import { type Started, Workplace } from './process.ts'
import { RoundRobin } from './round-robin.ts'

const file = fileURLToPath(new URL('fixtures/counters.ts', import.meta.url))
const keys = Array.from({ length: 24 }, (_, index) => `key-${index}`)
const timeoutMs = 180_000

describe.each(sharedEngines.filter(({ isHere }) => isHere))(
  'processes of one application on $name',
  (engine) => {
    let servers: LogServers
    let place: Workplace
    let log: readonly string[]

    beforeAll(async () => {
      servers = await engine.start()
    }, timeoutMs)

    afterAll(() => servers?.remove())

    beforeEach(async () => {
      place = await Workplace.make()
      log = ['--log', servers.newLog()]
    })

    afterEach(() => place[Symbol.asyncDispose]())

    const start = () => place.start(['--close-after-ms', '3000', ...log], { file })

    async function json<T>(url: string): Promise<T> {
      const response = await fetch(url)
      expect(response.status).toBe(200)
      return (await response.json()) as T
    }

    const overview = ({ urls }: Started) => json<HandlersOverview>(`${urls.platform}/handlers`)

    /** Resolves once every process owns a share, and all is handled. */
    async function untilShared(processes: readonly Started[]): Promise<void> {
      await expect
        .poll(
          async () => {
            const { processes: parts, handlers, unanswered } = await overview(processes[0] as Started)
            const idle = handlers.every(({ lag, inFlight }) => lag + inFlight === 0)
            return (
              idle && unanswered.length === 0 && parts.filter((part) => part.partitions.length > 0).length
            )
          },
          { timeout: 60_000 },
        )
        .toBe(processes.length)
    }

    /** The numbers of the events of a type, for each key, in the order of the log. */
    async function logged(type: string): Promise<Map<string, { n: number; nth?: number }[]>> {
      const { stdout } = await place.run(['tail', '--json', '--from', 'start', '--topic', 'counters', ...log])
      const found = new Map<string, { n: number; nth?: number }[]>()
      for (const line of stdout.trim().split('\n')) {
        const { event } = JSON.parse(line)
        if (event.type !== type) continue
        const { key, ...data } = event.data
        found.set(key, [...(found.get(key) ?? []), data])
      }
      return found
    }

    test('answer alike, whichever of them is asked', { timeout: timeoutMs }, async () => {
      const processes = await Promise.all([start(), start(), start()])
      const client = new RoundRobin()
      client.add(...processes)
      for (const n of [1, 2]) {
        const answers = await Promise.all(
          ['broken', ...keys].map((key) => client.post('/counts', { key, n })),
        )
        expect(new Set(answers)).toEqual(new Set([202]))
      }
      await untilShared(processes)
      for (const { urls } of processes) {
        for (const key of keys) expect(await json(`${urls.app}/counts/${key}`)).toEqual({ seen: 2 })
      }
      const overviews = await Promise.all(processes.map(overview))
      for (const { handlers } of overviews) {
        expect(handlers).toMatchObject([{ name: 'sum', lag: 0, counts: { handled: 48, deadLettered: 2 } }])
        expect(handlers[0]?.partitions).toHaveLength(16)
      }
      expect(new Set(overviews.map(({ process }) => process)).size).toBe(3)
      for (const path of ['/topics', '/dead-letters', '/dead-letters/groups', '/rules']) {
        const asked = processes.map(({ urls }) =>
          json<{ topics?: { internal: boolean }[] }>(`${urls.platform}${path}`),
        )
        // Asking leaves records in internal topics.
        const answers = (await Promise.all(asked)).map(({ topics, ...rest }) => {
          return { ...rest, topics: topics?.filter(({ internal }) => !internal) }
        })
        expect(answers.slice(1)).toEqual([answers[0], answers[0]])
        if (path === '/dead-letters') expect(answers[0]).toMatchObject({ letters: [{ key: 'broken' }, {}] })
      }
      for (const { urls } of processes) {
        const { stdout } = await place.run(['inspect', '--url', urls.platform])
        expect(stdout).toMatch(/^sum +0 +0 +48 +2 +2 +0 +up to date$/m)
        expect(stdout.match(/^\S+ (\(asked\) +| +)counters +[\d ]+$/gm)).toHaveLength(3)
      }
    })

    test('can be replaced one after the other under load: nothing is lost, doubled or out of order', {
      timeout: timeoutMs,
    }, async () => {
      const processes = await Promise.all([start(), start(), start()])
      const client = new RoundRobin()
      client.add(...processes)
      await untilShared(processes)
      const watching = client.watch()
      let isOver = false
      const published = Promise.all(
        keys.map(async (key) => {
          let n = 0
          for (; !isOver; n += 1) expect(await client.post('/counts', { key, n })).toBe(202)
          return n
        }),
      )
      for (let replacements = 0; replacements < 3; replacements += 1) {
        const [replaced] = processes.splice(0, 1) as [Started]
        replaced.child.kill('SIGTERM')
        expect(await replaced.ended).toBe(0)
        expect(await replaced.stderr).toBe('')
        client.remove(replaced)
        const started = await start()
        client.add(started)
        processes.push(started)
        await expect.poll(async () => (await overview(processes[2] as Started)).unanswered).toEqual([])
      }
      isOver = true
      client.close()
      await watching
      const counts = await published
      await untilShared(processes)
      const counted = await logged('counter.counted')
      const summed = await logged('counter.summed')
      for (const [index, key] of keys.entries()) {
        const upTo = Array.from({ length: counts[index] ?? 0 }, (_, n) => n)
        expect(counted.get(key)).toEqual(upTo.map((n) => ({ n })))
        expect(summed.get(key)).toEqual(upTo.map((n) => ({ n, nth: n + 1 })))
      }
      expect(Math.min(...counts)).toBeGreaterThan(10)
    })
  },
)
