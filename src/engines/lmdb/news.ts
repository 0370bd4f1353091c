import type { Place } from '../../log/port.ts'
import type { StoredPlace } from './stored-place.ts'

/** A place that is watched, as the caller named it, and the offset that the caller knows. */
export interface Watched {
  readonly named: Place
  readonly place: StoredPlace
  readonly known: number
}

interface Watch {
  readonly places: readonly Watched[]
  settle(): void
  fail(error: unknown): void
}

/** Wakes those who wait for places to grow. */
export class News {
  readonly #watches = new Map<StoredPlace, Set<Watch>>()

  /** Resolves with the places that are past what is known, at once or when that comes true. */
  wait(places: readonly Watched[], signal: AbortSignal): Promise<readonly Place[]> {
    const ready = grown(places)
    if (ready.length > 0) return Promise.resolve(ready)
    return new Promise((resolve, reject) => {
      const end = () => {
        signal.removeEventListener('abort', onAbort)
        for (const { place } of places) this.#remove(place, watch)
      }
      const watch: Watch = {
        places,
        settle: () => {
          end()
          resolve(grown(places))
        },
        fail: (error) => {
          end()
          reject(error)
        },
      }
      const onAbort = () => watch.fail(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      for (const { place } of places) this.#add(place, watch)
    })
  }

  /** These places have grown. */
  tell(places: Iterable<StoredPlace>): void {
    for (const place of places) {
      for (const watch of [...(this.#watches.get(place) ?? [])]) {
        if (grown(watch.places).length > 0) watch.settle()
      }
    }
  }

  /** Ends the waits for these places, or all of them, with an error. */
  fail(error: unknown, places: Iterable<StoredPlace> = this.#watches.keys()): void {
    for (const place of [...places]) {
      for (const watch of [...(this.#watches.get(place) ?? [])]) watch.fail(error)
    }
  }

  #add(place: StoredPlace, watch: Watch): void {
    const watches = this.#watches.get(place) ?? new Set()
    watches.add(watch)
    this.#watches.set(place, watches)
  }

  #remove(place: StoredPlace, watch: Watch): void {
    const watches = this.#watches.get(place)
    watches?.delete(watch)
    if (watches?.size === 0) this.#watches.delete(place)
  }
}

function grown(places: readonly Watched[]): Place[] {
  return places.filter(({ place, known }) => place.end > known).map(({ named }) => named)
}
