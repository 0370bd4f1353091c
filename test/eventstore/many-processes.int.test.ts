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
import { decodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import type { LoggedRecord, ToldAppend } from '../../src/testing/history.ts'
import { streamsHaveNoGap } from '../../src/testing/invariants/streams-have-no-gap.ts'
import { type LogServers, sharedEngines } from '../engines/shared-logs.ts'
import { HistoryBuilder } from '../testing/history-builder.ts'

const program = fileURLToPath(new URL('appending-process.ts', import.meta.url))
const [writers, streams] = [6, 8]

const isDone = ({ told }: ToldAppend) => told !== 'nothing' && 'ids' in told
const isRefused = ({ told }: ToldAppend) => told !== 'nothing' && 'conflict' in told

/** A process whose writers append. */
class Appender {
  readonly child: ChildProcess
  readonly told: ToldAppend[] = []
  hasBegun = false
  readonly ended: Promise<unknown>

  constructor(url: string, name: string, told: () => void) {
    const args = [program, url, name, String(writers), String(streams)]
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.child
    if (stdout === null) throw new Error('the process has no output')
    const lines = createInterface({ input: stdout }).on('line', (line) => {
      if (line === 'begun') this.hasBegun = true
      else this.told.push(JSON.parse(line) as ToldAppend)
      told()
    })
    this.ended = Promise.all([once(this.child, 'exit'), once(lines, 'close')])
  }

  /** To how many streams it has appended since it had said so much. */
  streamsDone(since: number): number {
    return new Set(
      this.told
        .slice(since)
        .filter(isDone)
        .map(({ id }) => id),
    ).size
  }

  get dones(): number {
    return this.told.filter(isDone).length
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
    await until(() => first.hasBegun)
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
    const before = third.told.length
    await until(() => third.streamsDone(before) === streams)
    for (const { child } of [second, third]) child.stdin?.end()
    await Promise.all(appenders.map(({ ended }) => ended))
    expect([second, third].map(({ child }) => child.exitCode)).toEqual([0, 0])

    const log = await recordsOf(url)
    const appends = appenders.flatMap(({ told }) => told)
    const history = { log, appends, streams: [{ name: 'ledger', types: ['ledger.noted'] }] }
    expect(streamsHaveNoGap(new HistoryBuilder().history(history))).toEqual([])
    expect(appends.filter(isRefused).length).toBeGreaterThan(0)
    const asked = new Set(appends.map(({ append }) => append))
    expect(log.filter(({ event }) => !asked.has(event.id.replace(/\.\d+$/, '')))).toEqual([])
  }, 180_000)
})

/** The records of all streams, by partition and offset. */
async function recordsOf(url: string): Promise<readonly LoggedRecord[]> {
  const engine = await openEngine(url, { runtime: realRuntime() })
  try {
    const all: LoggedRecord[] = []
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      const at = { topic: 'ledgers', partition }
      let { start: from, end } = await engine.bounds(at)
      while (from < end) {
        const { records, next } = await engine.read(at, from, { records: 1_000, bytes: 1_000_000 })
        for (const { offset, value } of records)
          all.push({ ...at, offset, event: decodeEvent(value), step: 0 })
        from = next
      }
    }
    return all
  } finally {
    await engine.close()
  }
}
