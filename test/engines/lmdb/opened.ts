import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import type { LmdbOptions } from '../../../src/engines/lmdb/open-log.ts'
import type { Appended, Claim, Entry, LogEngine, Place } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** The place that most tests use. */
export const at: Place = { topic: 'orders', partition: 1 }
/** Limits that no test reaches. */
export const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

/** A log in a temporary folder, with a topic `orders`, that a test opens, closes and opens again. */
export class TestLog {
  readonly runtime = new ManualRuntime()
  readonly folder: string
  readonly #options: Partial<LmdbOptions>
  readonly #remove: () => void
  #engine: LogEngine | undefined

  private constructor(options: Partial<LmdbOptions>) {
    const { path, remove } = temporaryFolder()
    this.folder = path
    this.#remove = remove
    this.#options = options
  }

  static async open(options: Partial<LmdbOptions> = {}): Promise<TestLog> {
    const log = new TestLog({ partitions: 2, ...options })
    await (await log.reopen()).createTopic('orders', {})
    return log
  }

  get engine(): LogEngine {
    if (this.#engine === undefined) throw new Error('the log is closed')
    return this.#engine
  }

  async reopen(): Promise<LogEngine> {
    await this.close()
    this.#engine = await openLmdb(this.folder, { runtime: this.runtime, ...this.#options })
    return this.#engine
  }

  async close(): Promise<void> {
    await this.#engine?.close()
    this.#engine = undefined
  }

  async append(...texts: readonly string[]): Promise<readonly Appended[]> {
    return this.engine.append(texts.map((text) => this.entry(text)))
  }

  entry(text: string, id?: string): Entry {
    const value = new TextEncoder().encode(
      JSON.stringify({ id: id ?? text, type: 'test', source: 's', data: text }),
    )
    return { ...at, value, timeMs: this.runtime.now(), ...(id === undefined ? {} : { deduplicationId: id }) }
  }

  /** The texts of the records that can be read from an offset on. */
  async texts(from = 0): Promise<string[]> {
    const { records } = await this.engine.read(at, from, noLimits)
    return records.map(({ value }) => (JSON.parse(Buffer.from(value).toString()) as { data: string }).data)
  }

  async claim(group: string, partition = at.partition): Promise<Claim> {
    const claims: Claim[] = []
    await this.engine.join(group, { id: 'member' }, (claim) => claims.push(claim))
    const claim = claims.find((candidate) => candidate.partition === partition)
    if (claim === undefined) throw new Error('no claim was given')
    return claim
  }

  async end(): Promise<void> {
    await this.close()
    this.#remove()
  }
}
