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

/** What groups need of topics: a key of the catalog for each claim and topic. */
export class Needs {
  readonly #catalog: Catalog
  readonly #names: Names
  readonly #topics: Topics

  constructor(catalog: Catalog, names: Names, topics: Topics) {
    this.#catalog = catalog
    this.#names = names
    this.#topics = topics
  }

  async tell(
    { group, partition }: ClaimName,
    needs: Readonly<Record<string, Offset>>,
    order: number,
  ): Promise<void> {
    const telling = Object.entries(needs).map(async ([topic, offset]) => {
      const id = await this.#idOf(topic)
      if (id === undefined) return
      const key = this.#names.key('need', id, String(partition), token(group))
      await this.#catalog.change<Need>(key, (before) => {
        return before !== undefined && before.order >= order ? undefined : { offset, order }
      })
    })
    await Promise.all(telling)
  }

  /** The lowest offset that any group needs of a place; undefined where none has said so. */
  async at({ topic, partition }: Place): Promise<Offset | undefined> {
    const { id } = await this.#topics.get(topic)
    const keys = await this.#catalog.keys(this.#names.key('need', id, String(partition), '*'))
    const needs = await Promise.all(keys.map((key) => this.#catalog.get<Need>(key)))
    const offsets = needs.flatMap((need) => (need === undefined ? [] : [need.value.offset]))
    return offsets.length === 0 ? undefined : Math.min(...offsets)
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
