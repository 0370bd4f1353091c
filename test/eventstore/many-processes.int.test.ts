/**
 * Goal: however many processes append to the same streams, each by the version that it has read, and whichever of them are killed, a
 * stream has the versions 1 to n, and whoever was told something was told the truth. Method: real processes and servers.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/app/open-engine.ts'
import type { Event } from '../../src/core/event.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { type LogServers, sharedEngines } from '../engines/shared-logs.ts'

const program = fileURLToPath(new URL('appending-process.ts', import.meta.url))
const [writers, streams] = [6, 8]

/** A process whose writers append. */
class Appender {
  readonly child: ChildProcess
  readonly said: string[] = []
  readonly ended: Promise<unknown>

  constructor(url: string, name: string, told: () => void) {
    const args = [program, url, name, String(writers), String(streams)]
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.child
    if (stdout === null) throw new Error('the process has no output')
    const lines = createInterface({ input: stdout }).on('line', (line) => {
      this.said.push(line)
      told()
    })
    this.ended = Promise.all([once(this.child, 'exit'), once(lines, 'close')])
  }

  /** To how many streams it has appended since it had said so much. */
  streamsDone(since: number): number {
    const done = this.said.slice(since).filter((line) => line.startsWith('done'))
    return new Set(done.map((line) => line.split(' ')[2])).size
  }

  get dones(): number {
    return this.said.filter((line) => line.startsWith('done')).length
  }
}

describe.each(sharedEngines.filter(({ isHere }) => isHere))('streams on $name', (engine) => {
  let servers: LogServers
  const appenders: Appender[] = []
  const waiting: (() => void)[] = []

  beforeAll(async () => {
    servers = await engine.start()
  }, 60_000)

  afterEach(async () => {
    for (const { child } of appenders) if (child.exitCode === null) child.kill('SIGKILL')
    await Promise.all(appenders.splice(0).map(({ ended }) => ended))
  })

  afterAll(() => servers?.remove())

  function start(url: string, name: string): Appender {
    const appender = new Appender(url, name, () => {
      for (const look of waiting.splice(0)) look()
    })
    appenders.push(appender)
    return appender
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve))
  }

  it('have the versions 1 to n, with what was acknowledged once and nothing that was refused, while processes are killed and started', async () => {
    const url = servers.newLog()
    const first = start(url, 'first')
    await until(() => first.said.includes('begun'))
    const [second, third] = [start(url, 'second'), start(url, 'third')]
    await until(() => [first, second, third].every(({ dones }) => dones >= 10))
    // What moves to each of these goes back to who had it, and has been changed meanwhile.
    for (const name of ['comer-1', 'comer-2', 'comer-3']) {
      const comer = start(url, name)
      await until(() => comer.dones >= 10)
      comer.child.kill('SIGKILL')
      const before = third.dones
      await until(() => third.dones >= before + 10)
    }
    first.child.kill('SIGKILL')
    const before = third.said.length
    await until(() => third.streamsDone(before) === streams)
    for (const { child } of [second, third]) child.stdin?.end()
    await Promise.all(appenders.map(({ ended }) => ended))
    expect([second, third].map(({ child }) => child.exitCode)).toEqual([0, 0])

    const events = await eventsOf(url)
    const versions = new Map<string, number>()
    const ids = new Map(Array.from({ length: streams }, (_, index) => [`s${index}`, [] as Event[]]))
    for (const event of events) {
      ids.get(event.partitionkey ?? '')?.push(event)
      versions.set(event.id, event.streamversion ?? 0)
    }
    for (const ofStream of ids.values())
      expect(ofStream.map(({ streamversion }) => streamversion)).toEqual(
        ofStream.map((_, index) => index + 1),
      )
    expect(versions.size).toBe(events.length)
    const said = appenders.flatMap((appender) => appender.said).map((line) => line.split(' '))
    const told = new Set<string>()
    for (const [what, append = '', , version, count] of said) {
      told.add(append)
      if (what === 'refused') expect(versions.get(`${append}.1`)).toBeUndefined()
      if (what !== 'done') continue
      for (let nth = 1; nth <= Number(count); nth += 1)
        expect(versions.get(`${append}.${nth}`)).toBe(Number(version) - Number(count) + nth)
    }
    expect(said.filter(([what]) => what === 'refused').length).toBeGreaterThan(0)
    // Whatever else is there is of those that were killed before they could tell.
    for (const { id } of events)
      if (!told.has(id.replace(/\.\d+$/, ''))) expect(id).toMatch(/^(first|comer-\d)-/)
  }, 180_000)
})

/** The events of all streams, by partition and offset. */
async function eventsOf(url: string): Promise<readonly Event[]> {
  const engine = await openEngine(url, { runtime: realRuntime() })
  try {
    const events: Event[] = []
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      const at = { topic: 'ledgers', partition }
      let { start: from, end } = await engine.bounds(at)
      while (from < end) {
        const { records, next } = await engine.read(at, from, { records: 1_000, bytes: 1_000_000 })
        events.push(...records.map(({ value }) => decodeEvent(value)))
        from = next
      }
    }
    return events
  } finally {
    await engine.close()
  }
}
