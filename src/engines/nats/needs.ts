import { isMillraceError } from '../../core/errors.ts'
import type { ClaimName } from '../../log/journal/log-servers.ts'
import type { Offset, Place } from '../../log/port.ts'
import type { Catalog } from './catalog.ts'
import { type Names, token } from './names.ts'
import type { Topics } from './topics.ts'

interface Need {
  readonly offset: Offset
  /** The journal sequence of the commit that said so. */
  readonly order: number
}

/** What this process has told of a key, and what it has yet to tell. */
interface Telling {
  readonly topicId: string
  readonly partition: number
  readonly told: Need
  pending: Need | undefined
  toldMs: number
}

/** What a claim does not need any more is told so often at most, unless somebody here wants to know. */
const lazyMs = 1000

/**
 * What groups need of topics: a key of the catalog for each claim and topic. That a claim needs something is told at once. That it
 * needs less than before is told a little later, since until then only less is trimmed than could be.
 */
export class Needs {
  readonly #catalog: Catalog
  readonly #names: Names
  readonly #topics: Topics
  readonly #now: () => number
  readonly #tellings = new Map<string, Telling>()

  constructor(catalog: Catalog, names: Names, topics: Topics, now: () => number) {
    this.#catalog = catalog
    this.#names = names
    this.#topics = topics
    this.#now = now
  }

  async tell(
    { group, partition }: ClaimName,
    needs: Readonly<Record<string, Offset>>,
    order: number,
  ): Promise<void> {
    const telling: Promise<void>[] = []
    for (const [topic, offset] of Object.entries(needs)) {
      const topicId = this.#topics.peek(topic)?.id ?? (await this.#idOf(topic))
      if (topicId === undefined) continue
      const key = this.#names.key('need', topicId, String(partition), token(group))
      const known = this.#tellings.get(key)
      const need = { offset, order }
      const ageMs = known === undefined ? lazyMs : this.#now() - known.toldMs
      if (known !== undefined && offset >= known.told.offset && ageMs >= 0 && ageMs < lazyMs)
        known.pending = need
      else
        telling.push(
          this.#put(key, { topicId, partition, told: need, pending: undefined, toldMs: this.#now() }),
        )
    }
    await Promise.all(telling)
  }

  /** The lowest offset that any group needs of a place; undefined where none has said so. */
  async at({ topic, partition }: Place): Promise<Offset | undefined> {
    const { id } = await this.#topics.get(topic)
    await this.flush((telling) => telling.topicId === id && telling.partition === partition)
    const keys = await this.#catalog.keys(this.#names.key('need', id, String(partition), '*'))
    const needs = await Promise.all(keys.map((key) => this.#catalog.get<Need>(key)))
    const offsets = needs.flatMap((need) => (need === undefined ? [] : [need.value.offset]))
    return offsets.length === 0 ? undefined : Math.min(...offsets)
  }

  /** Tells what is yet to be told. */
  async flush(isMeant: (telling: Telling) => boolean = () => true): Promise<void> {
    const telling = [...this.#tellings].map(async ([key, each]) => {
      const { pending } = each
      if (pending === undefined || !isMeant(each)) return
      await this.#put(key, { ...each, told: pending, pending: undefined, toldMs: this.#now() })
    })
    await Promise.all(telling)
  }

  /** A topic is gone, and with it what is needed of it. */
  forget(topicId: string): void {
    for (const [key, telling] of this.#tellings) if (telling.topicId === topicId) this.#tellings.delete(key)
  }

  async #put(key: string, telling: Telling): Promise<void> {
    this.#tellings.set(key, telling)
    const { told } = telling
    await this.#catalog.change<Need>(key, (before) => {
      return before !== undefined && before.order >= told.order ? undefined : told
    })
  }

  async #idOf(topic: string): Promise<string | undefined> {
    try {
      return (await this.#topics.get(topic)).id
    } catch (error) {
      // Of a topic that was deleted meanwhile nothing is needed any more.
      if (isMillraceError(error, 'TOPIC_UNKNOWN')) return undefined
      throw error
    }
  }
}
