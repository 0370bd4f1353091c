import type { App } from '../app/app.ts'
import type { DeadLetter } from '../bus/dead-letter.ts'
import { deadLetterType } from '../bus/dead-letter.ts'
import { discardType, redriveType } from '../bus/dead-letter-requests.ts'
import type { Event } from '../core/event.ts'
import type { LoggedRecord } from './history.ts'
import { WitnessEvent } from './witness.ts'

/** Gives what handlers did under a former name to the name that they have now: they are one, before and after. */
export class PresentNames {
  readonly #names: ReadonlyMap<string, string>

  constructor({ handlers }: App) {
    this.#names = new Map(
      handlers.flatMap(({ name, options: { renamedFrom } }) => {
        return renamedFrom === undefined ? [] : [[renamedFrom, name]]
      }),
    )
  }

  /** What names a handler. */
  of<Named extends { readonly handler: string }>(named: readonly Named[]): readonly Named[] {
    if (this.#names.size === 0) return named
    return named.map((one) => this.#renamed(one))
  }

  /** Records that name a handler, or are for one. */
  inLog(log: readonly LoggedRecord[]): readonly LoggedRecord[] {
    if (this.#names.size === 0) return log
    return log.map((record) => ({ ...record, event: this.#inEvent(record.event) }))
  }

  #inEvent(event: Event): Event {
    const to = event.millraceto === undefined ? undefined : this.#names.get(event.millraceto)
    if (to !== undefined) return { ...event, millraceto: to }
    return namesHandler.has(event.type) ? { ...event, data: this.#renamed(event.data as DeadLetter) } : event
  }

  #renamed<Named extends { readonly handler: string }>(named: Named): Named {
    const name = this.#names.get(named.handler)
    return name === undefined ? named : { ...named, handler: name }
  }
}

const namesHandler: ReadonlySet<string> = new Set([
  deadLetterType,
  redriveType,
  discardType,
  WitnessEvent.type,
])
