import type { Offset, Place } from '../../log/port.ts'
import type { StoredPlace } from './stored-place.ts'

/** A place that is watched, as the caller named it, and the offset that the caller knows. */
interface Watched {
  readonly named: Place
  readonly place: StoredPlace
  readonly watch: Watch
  known: Offset
}

/** Whoever waits on a watch. */
interface Waiter {
  resolve(grown: readonly Place[]): void
  reject(error: unknown): void
}

/** The places that one caller watches, wait after wait. */
class Watch {
  readonly signal: AbortSignal
  readonly places: readonly Watched[]
  readonly onAbort: () => void
  waiter: Waiter | undefined
  isKept = false
  /** The last telling that ended a wait. */
  told = 0

  constructor(
    named: Iterable<readonly [Place, StoredPlace]>,
    signal: AbortSignal,
    aborted: (watch: Watch) => void,
  ) {
    this.signal = signal
    this.places = Array.from(named, ([name, place]) => ({ named: name, place, watch: this, known: 0 }))
    this.onAbort = () => aborted(this)
  }

  /** Takes over what the caller knows now; false where those are not the places that are watched. */
  learn(known: ReadonlyMap<Place, Offset>): boolean {
    if (known.size !== this.places.length) return false
    for (const watched of this.places) {
      const offset = known.get(watched.named)
      if (offset === undefined) return false
      watched.known = offset
    }
    return true
  }

  grown(): Place[] {
    const grown: Place[] = []
    for (const { named, place, known } of this.places) if (place.end > known) grown.push(named)
    return grown
  }

  end(): Waiter | undefined {
    const { waiter } = this
    this.waiter = undefined
    return waiter
  }
}

/**
 * Wakes those who wait for places to grow. Whoever follows places waits for the same ones again as soon as it was told, so a watch
 * stays until it is told of something while nobody waits on it.
 */
export class News {
  readonly #watched = new Map<StoredPlace, Set<Watched>>()
  /** By what the caller knows: the map that it comes with again. */
  readonly #kept = new WeakMap<ReadonlyMap<Place, Offset>, Watch>()
  readonly #placeOf: (named: Place) => StoredPlace
  #tellings = 0

  /** `placeOf` gives the place of a name, or throws. */
  constructor(placeOf: (named: Place) => StoredPlace) {
    this.#placeOf = placeOf
  }

  /** Resolves with the places that are past what is known, at once or when that comes true; throws what `placeOf` throws. */
  wait(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    const watch = this.#keptFor(known, signal) ?? this.#create(known, signal)
    const grown = watch.grown()
    if (grown.length > 0) return Promise.resolve(grown)
    if (!watch.isKept) this.#keep(watch, known)
    return new Promise((resolve, reject) => {
      watch.waiter = { resolve, reject }
    })
  }

  /** These places have grown. */
  tell(places: Iterable<StoredPlace>): void {
    this.#tellings += 1
    for (const place of places) {
      for (const { watch, known } of this.#watched.get(place) ?? []) {
        if (watch.waiter === undefined) {
          if (watch.told !== this.#tellings) this.#drop(watch)
        } else if (place.end > known) {
          watch.told = this.#tellings
          watch.end()?.resolve(watch.grown())
        }
      }
    }
  }

  /** Ends the waits for these places, or all of them, with an error. */
  fail(error: unknown, places: Iterable<StoredPlace> = this.#watched.keys()): void {
    for (const place of [...places]) {
      for (const { watch } of this.#watched.get(place) ?? []) this.#fail(watch, error)
    }
  }

  #keptFor(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Watch | undefined {
    const watch = this.#kept.get(known)
    if (watch === undefined || !watch.isKept || watch.waiter !== undefined) return undefined
    return watch.signal === signal && watch.learn(known) ? watch : undefined
  }

  #create(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Watch {
    const named = Array.from(known.keys(), (name) => [name, this.#placeOf(name)] as const)
    const watch = new Watch(named, signal, (aborted) => this.#fail(aborted, signal.reason))
    watch.learn(known)
    return watch
  }

  #keep(watch: Watch, known: ReadonlyMap<Place, Offset>): void {
    watch.isKept = true
    this.#kept.set(known, watch)
    watch.signal.addEventListener('abort', watch.onAbort, { once: true })
    for (const watched of watch.places) {
      const all = this.#watched.get(watched.place) ?? new Set()
      all.add(watched)
      this.#watched.set(watched.place, all)
    }
  }

  #drop(watch: Watch): void {
    watch.isKept = false
    watch.signal.removeEventListener('abort', watch.onAbort)
    for (const watched of watch.places) {
      const all = this.#watched.get(watched.place)
      all?.delete(watched)
      if (all?.size === 0) this.#watched.delete(watched.place)
    }
  }

  #fail(watch: Watch, error: unknown): void {
    this.#drop(watch)
    watch.end()?.reject(error)
  }
}
