import type { App } from '../app/app.ts'
import type { CursorDocument } from '../bus/cursor-tracker.ts'
import type { ParkedEntry } from '../bus/parked-entry.ts'
import { endOfPrefix, stateLayout } from '../bus/state-layout.ts'
import type { CursorSample, HeldKey } from './history.ts'
import type { SimulatedLog } from './simulated-log.ts'

const decoder = new TextDecoder()
const limit = Number.MAX_SAFE_INTEGER

/** Looks at the committed state of all partitions, and gives every cursor that has moved since the last look. */
export class StateObserver {
  readonly #log: SimulatedLog
  readonly #groups: ReadonlySet<string>
  readonly #partitions: number
  readonly #known = new Map<string, string>()
  readonly #changes = new Map<string, number>()

  constructor(log: SimulatedLog, app: App, partitions: number) {
    this.#log = log
    this.#groups = new Set(app.handlers.map(({ options }) => options.group ?? app.name))
    this.#partitions = partitions
  }

  /** The cursors that have moved, as of the records that were visible at `step`. */
  look(step: number): readonly CursorSample[] {
    const samples: CursorSample[] = []
    for (const group of this.#groups) {
      for (let partition = 0; partition < this.#partitions; partition += 1) {
        const { changes } = this.#log.stateOf(group, partition)
        if (this.#changes.get(`${group}/${partition}`) === changes) continue
        this.#changes.set(`${group}/${partition}`, changes)
        for (const [key, text] of this.#range(group, partition, 'subscription/')) {
          if (this.#known.get(`${group}/${partition}/${key}`) === text) continue
          this.#known.set(`${group}/${partition}/${key}`, text)
          samples.push({ ...this.#sample(group, partition, key, text), step })
        }
      }
    }
    return samples
  }

  #sample(group: string, partition: number, key: string, text: string): Omit<CursorSample, 'step'> {
    const [, handler = '', topic = ''] = key.split('/')
    const { cursor, done } = JSON.parse(text) as CursorDocument
    const prefix = stateLayout.parked(handler, topic, '')
    const held = this.#range(group, partition, prefix).map(([name, entry]): HeldKey => {
      const { first, last } = JSON.parse(entry) as ParkedEntry
      return { key: name.slice(prefix.length), first, last }
    })
    return { handler, topic, partition, cursor, done, held }
  }

  #range(group: string, partition: number, prefix: string): readonly (readonly [string, string])[] {
    const values = this.#log.stateOf(group, partition)
    return values
      .range({ from: prefix, to: endOfPrefix(prefix), limit })
      .map(({ key, value }) => [key, decoder.decode(value)] as const)
  }
}
