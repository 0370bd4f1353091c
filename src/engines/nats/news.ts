import { topicUnknown } from '../../log/failures.ts'
import type { Offset, Place } from '../../log/port.ts'
import type { KnownPlace } from './place.ts'

/** A place that somebody waits for, and where it ended as far as they know. */
export interface Awaited {
  readonly named: Place
  readonly place: KnownPlace
  readonly known: Offset
}

interface Watched {
  readonly watches: Set<Watch>
  unfollow: () => void
}

interface Watch {
  look(): void
  fail(error: unknown): void
}

/** Has the end of a place told as it grows, until the function that is given back is called. */
export type Follow = (place: KnownPlace, known: Offset) => () => void

/** Who waits for places to grow. A place is followed while somebody waits for it. */
export class News {
  readonly #follow: Follow
  readonly #watched = new Map<KnownPlace, Watched>()

  constructor(follow: Follow) {
    this.#follow = follow
  }

  /** Resolves with the places that are past what is known, at once or when that comes true. */
  wait(awaited: readonly Awaited[], signal: AbortSignal): Promise<readonly Place[]> {
    const grown = () =>
      awaited.filter(({ place, known }) => place.end > known).map(({ named }) => ({ ...named }))
    signal.throwIfAborted()
    const now = grown()
    if (now.length > 0) return Promise.resolve(now)
    return new Promise((resolve, reject) => {
      const ends: (() => void)[] = []
      const end = () => {
        signal.removeEventListener('abort', onAbort)
        for (const endOne of ends) endOne()
      }
      const watch: Watch = {
        look: () => {
          const places = grown()
          if (places.length === 0) return
          end()
          resolve(places)
        },
        fail: (error) => {
          end()
          reject(error)
        },
      }
      const onAbort = () => watch.fail(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      for (const { place, known } of awaited) ends.push(this.#watch(place, known, watch))
    })
  }

  /** Follows a place anew that could not be followed any more. */
  followAgain(place: KnownPlace): void {
    const watched = this.#watched.get(place)
    if (watched !== undefined) watched.unfollow = this.#follow(place, place.end)
  }

  /** A topic is gone. */
  fail(topicId: string, name: string): void {
    for (const [{ known }, { watches }] of [...this.#watched]) {
      if (known.id === topicId) for (const watch of [...watches]) watch.fail(topicUnknown(name))
    }
  }

  #watch(place: KnownPlace, known: Offset, watch: Watch): () => void {
    const unwatch = place.watch(watch.look)
    let watched = this.#watched.get(place)
    if (watched === undefined) {
      watched = { watches: new Set(), unfollow: this.#follow(place, known) }
      this.#watched.set(place, watched)
    }
    watched.watches.add(watch)
    return () => {
      unwatch()
      watched.watches.delete(watch)
      if (watched.watches.size > 0 || this.#watched.get(place) !== watched) return
      watched.unfollow()
      this.#watched.delete(place)
    }
  }
}
