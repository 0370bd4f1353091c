import { createHash } from 'node:crypto'
import type { ClaimName } from '../../log/moving.ts'
import { movedIdsToken } from './moved-ids.ts'

const longestToken = 100

/** Any text as one token of a subject or a stream's name: what is not a letter, a digit or - is written as _ and its bytes. */
export function token(text: string): string {
  const written = text.replace(/[^A-Za-z0-9-]/gu, (character) => {
    const bytes = Buffer.from(character)
    return [...bytes].map((byte) => `_${byte.toString(16).padStart(2, '0')}`).join('')
  })
  if (written.length <= longestToken) return written === '' ? '__' : written
  return `${written.slice(0, longestToken - 34)}__${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

/** The id of an entry, as JetStream is told it. */
export function idOf(deduplicationId: string): string {
  return createHash('sha256').update(deduplicationId).digest('base64url').slice(0, 27)
}

/** A topic as the servers know it. A topic that was deleted and made again is another one. */
export interface TopicName {
  readonly topic: string
  /** Names this making of the topic. */
  readonly id: string
}

/** The text that a token was written from; undefined where only a hash of its end is left. */
export function textOfToken(written: string): string | undefined {
  if (written === '__') return ''
  if (written.includes('__')) return undefined
  const bytes = written.replace(/_([0-9a-f]{2})/g, (_, byte: string) =>
    String.fromCharCode(Number.parseInt(byte, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString()
}

/** The names of everything that a log has on the servers. */
export class Names {
  readonly #log: string
  /** The stream of keys and values: what the log is, where places begin, what is needed, who is there. */
  readonly catalog: string
  /** The stream of journals. Logs of before have their checkpoints there too. */
  readonly journals: string
  /** The object store of checkpoints, and its stream. */
  readonly bucket: string
  readonly objects: string
  /** What processes tell one another at once; nothing depends on it. The last token says what is other than it was. */
  readonly hints: { readonly topics: string; readonly starts: string }

  constructor(log: string) {
    this.#log = log
    this.catalog = `${log}_catalog`
    this.journals = `${log}_journals`
    this.bucket = `${log}_checkpoints`
    this.objects = `OBJ_${this.bucket}`
    this.hints = { topics: `${log}.hint.topics`, starts: `${log}.hint.starts` }
  }

  /** The stream of a topic. */
  stream({ topic, id }: TopicName): string {
    return `${this.#log}_topic_${token(topic)}_${id}`
  }

  /** Which topics there are: the subject that one stream at a time can have. */
  topic(topic: string): string {
    return `${this.#log}.topic.${token(topic)}`
  }

  /** Every subject of {@link topic}. */
  get topics(): string {
    return `${this.#log}.topic.*`
  }

  /** Every record of a topic. */
  records({ topic, id }: TopicName): string {
    return `${this.topic(topic)}.${id}.>`
  }

  /** Every record of a place. */
  place(name: TopicName, partition: number): string {
    return `${this.topic(name.topic)}.${name.id}.${partition}.>`
  }

  /** The ids that were moved here. */
  movedIds({ topic, id }: TopicName): string {
    return `${this.topic(topic)}.${id}.${movedIdsToken}`
  }

  /** The records that were appended to a place directly. */
  direct(name: TopicName, partition: number): string {
    return `${this.topic(name.topic)}.${name.id}.${partition}.direct`
  }

  /** The records that a claim has forwarded to a place. */
  origin(name: TopicName, partition: number, { group, partition: origin }: ClaimName): string {
    return `${this.topic(name.topic)}.${name.id}.${partition}.from.${token(group)}.${origin}`
  }

  /** The records that claims have forwarded to a place. */
  origins(name: TopicName, partition: number): string {
    return `${this.topic(name.topic)}.${name.id}.${partition}.from.>`
  }

  journal({ group, partition }: ClaimName): string {
    return `${this.#log}.journal.${token(group)}.${partition}`
  }

  /** Every subject of {@link journal}. */
  get allJournals(): string {
    return `${this.#log}.journal.>`
  }

  /** The names of all objects that a claim's checkpoints are made of begin so. */
  objectsOf({ group, partition }: ClaimName): string {
    return `${token(group)}.${partition}.`
  }

  /** The messages of an object's content, by the id that the servers' clients give it; or those of all objects. */
  contents(id = '>'): string {
    return `$O.${this.bucket}.C.${id}`
  }

  /** The messages that say of an object what it is, each under a subject of its own. */
  get descriptions(): string {
    return `$O.${this.bucket}.M.>`
  }

  /** The name of the object that is described under a subject. */
  objectAt(description: string): string {
    return Buffer.from(description.split('.').at(-1) ?? '', 'base64url').toString()
  }

  /** The pieces of one checkpoint in the stream of the journals, or of all of a claim. */
  formerCheckpoint({ group, partition }: ClaimName, id = '>'): string {
    return `${this.#log}.checkpoint.${token(group)}.${partition}.${id}`
  }

  member(group: string, memberId = '*'): string {
    return `${this.#log}.member.${token(group)}.${memberId === '*' ? memberId : token(memberId)}`
  }

  /** A key of the catalog; each part is a token. */
  key(...parts: readonly string[]): string {
    return `${this.#log}.catalog.${parts.join('.')}`
  }

  /** Every subject of the catalog. */
  get allOfCatalog(): readonly string[] {
    return [this.key('>'), `${this.#log}.member.>`]
  }

  /** Every subject of journals and checkpoints. */
  get allOfJournals(): readonly string[] {
    return [`${this.#log}.journal.>`, `${this.#log}.checkpoint.>`]
  }
}
