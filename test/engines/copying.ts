import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { isMillraceError } from '../../src/core/errors.ts'
import type { Entry, LogEngine, Place } from '../../src/log/port.ts'
import { recordsAt } from './records-at.ts'

const program = fileURLToPath(new URL('copying-process.ts', import.meta.url))

/** A process that copies from the topic `in` to `out`, as a member of the group `copiers`. */
export class Copier {
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

/** Copying processes on one log, what is published for them, and what must hold of it. */
export class Copying {
  readonly engine: LogEngine
  readonly copiers: Copier[] = []
  readonly #url: string
  #published = 0

  private constructor(engine: LogEngine, url: string) {
    this.engine = engine
    this.#url = url
  }

  /** `engine` is closed in the end. */
  static async begin(engine: LogEngine, url: string): Promise<Copying> {
    await engine.createTopic('in', {})
    await engine.createTopic('out', {})
    return new Copying(engine, url)
  }

  start(): Copier {
    const copier = new Copier(this.#url, `copier-${this.copiers.length}`)
    this.copiers.push(copier)
    return copier
  }

  async end(): Promise<void> {
    for (const copier of this.copiers) await copier.kill()
    await this.engine.close()
  }

  /** How many were published, or are about to be. */
  get published(): number {
    return this.#published
  }

  async publish(count: number): Promise<void> {
    const first = this.#published
    this.#published += count
    const entries = Array.from({ length: count }, (_, index) => ({
      topic: 'in',
      partition: (first + index) % this.engine.partitions,
      value: Buffer.from(String(first + index)),
      timeMs: 0,
      deduplicationId: String(first + index),
    }))
    await Promise.all(entries.map((entry) => this.#append(entry)))
  }

  /** As callers do who are told that servers stayed away: again, with the same id. */
  async #append(entry: Entry): Promise<void> {
    try {
      await this.engine.append([entry])
    } catch (error) {
      if (!isMillraceError(error, 'UNREACHABLE')) throw error
      await this.#append(entry)
    }
  }

  /** Resolves once so many were published. */
  async untilPublished(count: number): Promise<void> {
    const at = { topic: 'in', partition: 0 }
    while (this.#published < count) {
      const { end } = await this.engine.bounds(at)
      // The last of them may have come while that was asked, and nothing would come behind it.
      if (this.#published < count)
        await this.engine.changed(new Map([[at, end]]), new AbortController().signal)
    }
  }

  /** Resolves once everything was copied, each once and in order; checks that nothing of what was published is lost or doubled. */
  async expectCopiedOnce(): Promise<void> {
    const partitions = Array.from({ length: this.engine.partitions }, (_, partition) => partition)
    const all = (await Promise.all(partitions.map((partition) => this.#expectCopied(partition)))).flat()
    expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: this.#published }, (_, index) => index))
  }

  async #expectCopied(partition: number): Promise<readonly number[]> {
    const wanted = await this.#numbersIn({ topic: 'in', partition })
    const out = { topic: 'out', partition }
    for (;;) {
      const { end } = await this.engine.bounds(out)
      const copied = await this.#numbersIn(out)
      if (copied.length >= wanted.length) {
        expect(copied).toEqual(wanted)
        return wanted
      }
      await this.engine.changed(new Map([[out, end]]), new AbortController().signal)
    }
  }

  async #numbersIn(at: Place): Promise<readonly number[]> {
    const { start } = await this.engine.bounds(at)
    const records = await recordsAt(this.engine, at, start)
    return records.map(({ value }) => Number(Buffer.from(value).toString()))
  }
}
