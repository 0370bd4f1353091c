import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const program = fileURLToPath(new URL('working-process.ts', import.meta.url))
const partitions = 4
const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

/** A process that copies from `in` to `out`. */
class Worker {
  readonly child: ChildProcess
  readonly said: string[] = []
  #waiting: (() => void)[] = []

  constructor(url: string, id: string) {
    this.child = spawn(process.execPath, [program, url, id], { stdio: ['ignore', 'pipe', 'inherit'] })
    const { stdout } = this.child
    if (stdout === null) throw new Error('the process has no output')
    createInterface({ input: stdout }).on('line', (line) => {
      this.said.push(line)
      for (const look of this.#waiting.splice(0)) look()
    })
  }

  /** Resolves once what was said so far fulfils the condition. */
  async until(condition: (said: readonly string[]) => boolean): Promise<void> {
    while (!condition(this.said)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** How many partitions it has, as far as it has said. */
  get owned(): number {
    const given = this.said.filter((line) => line.startsWith('given')).map((line) => line.slice(6))
    const lost = new Set(this.said.filter((line) => line.startsWith('lost')).map((line) => line.slice(5)))
    return given.filter((claim) => !lost.has(claim)).length
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

describe.runIf(hasPostgres)('processes that share a log', () => {
  let server: PostgresServer
  let url: string
  let engine: LogEngine
  let workers: Worker[]
  let published: number

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  beforeEach(async () => {
    url = server.url()
    engine = await openPostgres(url, { runtime: realRuntime(), partitions, leaseMs: 2000 })
    await engine.createTopic('in', {})
    await engine.createTopic('out', {})
    workers = []
    published = 0
  })

  afterEach(async () => {
    for (const worker of workers) await worker.kill()
    await engine.close()
  })

  function startWorker(): Worker {
    const worker = new Worker(url, `worker-${workers.length}`)
    workers.push(worker)
    return worker
  }

  async function publish(count: number): Promise<void> {
    const entries = Array.from({ length: count }, (_, index) => {
      const number = published + index
      return { topic: 'in', partition: number % partitions, value: Buffer.from(String(number)), timeMs: 0 }
    })
    published += count
    await Promise.all(entries.map((entry) => engine.append([entry])))
  }

  /** Resolves once so many were published. */
  async function untilPublished(count: number): Promise<void> {
    while (published < count) {
      const end = (await engine.bounds({ topic: 'in', partition: 0 })).end
      await engine.changed(new Map([[{ topic: 'in', partition: 0 }, end]]), new AbortController().signal)
    }
  }

  async function numbersIn(topic: string, partition: number): Promise<number[]> {
    const { records } = await engine.read({ topic, partition }, 0, noLimits)
    return records.map(({ value }) => Number(Buffer.from(value).toString()))
  }

  /** Resolves once `out` has as many records as were published. */
  async function untilCopied(): Promise<void> {
    for (let partition = 0; partition < partitions; partition += 1) {
      const wanted = (await engine.bounds({ topic: 'in', partition })).end
      for (;;) {
        const { end } = await engine.bounds({ topic: 'out', partition })
        if (end >= wanted) break
        await engine.changed(new Map([[{ topic: 'out', partition }, end]]), new AbortController().signal)
      }
    }
  }

  async function expectCopiedOnce(): Promise<void> {
    await untilCopied()
    for (let partition = 0; partition < partitions; partition += 1) {
      expect(await numbersIn('out', partition)).toEqual(await numbersIn('in', partition))
    }
  }

  it('share the partitions, and what one that is killed had is taken over in seconds', async () => {
    const first = startWorker()
    await first.until(() => first.owned === partitions)
    const second = startWorker()
    await second.until(() => second.owned === partitions / 2)
    await publish(400)
    const copying = publish(400)
    await first.kill()
    await second.until(() => second.owned === partitions)
    await copying
    await expectCopiedOnce()
  }, 60_000)

  it('cannot write after a pause in which others took over, and take part again', async () => {
    const [paused, other] = [startWorker(), startWorker()]
    await paused.until(() => paused.owned === partitions / 2)
    await other.until(() => other.owned === partitions / 2)
    const copying = publish(600)
    paused.child.kill('SIGSTOP')
    await other.until(() => other.owned === partitions)
    await copying
    await publish(200)
    await untilCopied()
    const before = paused.said.length
    paused.child.kill('SIGCONT')
    await paused.until((said) => said.slice(before).some((line) => line.startsWith('lost')))
    await paused.until(() => paused.owned === partitions / 2)
    await publish(200)
    await expectCopiedOnce()
    expect([...paused.said, ...other.said].filter((line) => line.startsWith('refused'))).toEqual([])
  }, 60_000)

  it('go on by themselves when the server was stopped or has crashed in the middle of their work', async () => {
    const both = [startWorker(), startWorker()]
    for (const worker of both) await worker.until(() => worker.owned === partitions / 2)
    let ended = false
    const publishing = Array.from({ length: 16 }, async () => {
      while (!ended) await publish(1)
    })
    for (const end of [() => server.stop(), () => server.crash()]) {
      const before = published
      await untilPublished(before + 100)
      await end()
      const during = published
      await server.run()
      await untilPublished(during + 100)
    }
    ended = true
    await Promise.all(publishing)
    await expectCopiedOnce()
    const numbers = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => numbersIn('in', partition)),
    )
    expect(numbers.flat().sort((a, b) => a - b)).toEqual(
      Array.from({ length: published }, (_, index) => index),
    )
  }, 90_000)
})
