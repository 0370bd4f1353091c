import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../../src/testing/random.ts'
import { type DiskFault, diskFaults, FaultyDisk } from './faulty-disk.ts'

const faults = Object.keys(diskFaults) as DiskFault[]
const mostBursts = 3

/** Lets the disk of one process after the other fail for some moments, as the seed decides, and mends it again. */
export class DiskTrouble {
  readonly #disk: FaultyDisk
  readonly #random: SeededRandom
  #going: Promise<void> = Promise.resolve()
  #stop = new AbortController()

  /** `prefix` is that of {@link FaultyDisk}. */
  constructor(prefix: string, random: SeededRandom) {
    this.#disk = new FaultyDisk(prefix)
    this.#random = random
  }

  /** See {@link FaultyDisk.environment}. */
  get environment(): Readonly<Record<string, string>> {
    return this.#disk.environment
  }

  /** Begins to trouble a process once it is ready. */
  begin(pid: number, ready: Promise<void>): void {
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    this.#going = Promise.race([ready, stopped]).then(() => this.#trouble(pid, signal))
    // Whoever ends it is told.
    this.#going.catch(() => {})
  }

  /** Resolves once the disk is mended. Rejects with `OutOfTime` where the process does not know of that in time. */
  async end(): Promise<void> {
    this.#stop.abort()
    await this.#going
  }

  async #trouble(pid: number, signal: AbortSignal): Promise<void> {
    const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {})
    for (let burst = 0; burst < mostBursts && !signal.aborted; burst += 1) {
      await pause(this.#random.between(0, 120))
      if (signal.aborted) return
      await this.#disk.fail(pid, this.#random.pick(faults), this.#random.pick([1, 0.5, 0.1]))
      await pause(this.#random.between(0, 250))
      await this.#disk.mend(pid)
    }
  }
}
