import { isMillraceError } from '../../core/errors.ts'
import type {
  ClaimName,
  ForwardedEntry,
  Forwarding,
  JournalAppend,
  JournalValue,
  MemberList,
  MemberSign,
  OriginMark,
} from '../../log/journal/log-servers.ts'
import type { Appended, Offset, Place, ReadLimits } from '../../log/port.ts'
import { MemoryLog } from './memory-log.ts'
import type { AppendBounds } from './topic-log.ts'

const noMark: OriginMark = { position: undefined, revision: 0 }

/** One journal as the servers keep it. */
export class MemoryJournal {
  #values: JournalValue[] = []
  #last = 0
  #checkpoint: { readonly sequence: number; readonly chunks: readonly Uint8Array[] } | undefined

  get last(): JournalValue | undefined {
    return this.#values.at(-1)
  }

  get values(): readonly JournalValue[] {
    return this.#values
  }

  get checkpoint(): { readonly sequence: number; readonly chunks: readonly Uint8Array[] } | undefined {
    return this.#checkpoint
  }

  append(value: Uint8Array, expectedLast: number): JournalAppend {
    if (this.#last !== expectedLast) return { stored: false, last: this.#last }
    // Sequences may skip, as they do where journals share a stream.
    this.#last += 1 + (this.#last % 3)
    this.#values.push({ sequence: this.#last, value: new Uint8Array(value) })
    return { stored: true, sequence: this.#last }
  }

  read(after: number, limits: ReadLimits): JournalValue[] {
    const found: JournalValue[] = []
    let bytes = 0
    for (const { sequence, value } of this.#values) {
      if (sequence <= after) continue
      bytes += value.length
      if (found.length > 0 && (found.length >= limits.records || bytes > limits.bytes)) break
      found.push({ sequence, value: new Uint8Array(value) })
    }
    return found
  }

  trim(through: number): void {
    this.#values = this.#values.filter(({ sequence }) => sequence > through || sequence === this.#last)
  }

  putCheckpoint(sequence: number, chunks: readonly Uint8Array[]): void {
    if (sequence >= (this.#checkpoint?.sequence ?? 0)) this.#checkpoint = { sequence, chunks }
  }
}

/**
 * What the memory servers of several processes share: places of records, journals, marks, needs and signs of members. Every
 * method is one indivisible step.
 */
export class MemoryServersLog {
  readonly places = new MemoryLog()
  readonly #journals = new Map<string, MemoryJournal>()
  /** By topic, so that they go with it. */
  readonly #marks = new Map<string, Map<string, OriginMark>>()
  readonly #needs = new Map<string, Map<string, { readonly offset: Offset; readonly order: number }>>()
  readonly #members = new Map<string, MemberList>()
  readonly #watchers = new Set<() => void>()
  readonly #commits = new Map<string, string>()

  journal({ group, partition }: ClaimName): MemoryJournal {
    const name = `${partition}/${group}`
    let journal = this.#journals.get(name)
    if (journal === undefined) {
      journal = new MemoryJournal()
      this.#journals.set(name, journal)
    }
    return journal
  }

  deleteTopic(name: string): void {
    this.places.deleteTopic(name)
    this.#marks.delete(name)
    this.#needs.delete(name)
  }

  /** Throws `TOPIC_UNKNOWN` where the topic is not there. */
  mark(origin: ClaimName, at: Place): OriginMark {
    this.places.place(at)
    return this.#marks.get(at.topic)?.get(markName(origin, at)) ?? noMark
  }

  forward(
    origin: ClaimName,
    at: Place,
    entry: ForwardedEntry,
    after: OriginMark,
    bounds: AppendBounds,
  ): Forwarding {
    const known = this.mark(origin, at)
    if (known.revision !== after.revision) return { stored: false, mark: known }
    const appended = this.#append(at, entry, bounds)
    const { group, partition } = origin
    if (!appended.duplicate) {
      const commit = `${partition}/${group} ${entry.position.sequence}`
      this.#commits.set(`${at.topic}/${at.partition} ${appended.offset}`, commit)
    }
    const mark: OriginMark = { position: entry.position, revision: known.revision + 1 }
    const marks = this.#marks.get(at.topic) ?? new Map<string, OriginMark>()
    this.#marks.set(at.topic, marks)
    marks.set(markName(origin, at), mark)
    return { stored: true, appended: [appended], mark }
  }

  /** Names the commit by which a record came; undefined for one that was appended. For whoever looks from outside. */
  commitOf({ topic, partition }: Place, offset: Offset): string | undefined {
    return this.#commits.get(`${topic}/${partition} ${offset}`)
  }

  tellNeeds(name: ClaimName, needs: Readonly<Record<string, Offset>>, order: number): void {
    const topics = new Set(this.places.listTopics().map((topic) => topic.name))
    for (const [topic, offset] of Object.entries(needs)) {
      if (!topics.has(topic)) continue
      const told = this.#needs.get(topic) ?? new Map<string, { offset: Offset; order: number }>()
      this.#needs.set(topic, told)
      const claim = `${name.partition}/${name.group}`
      if ((told.get(claim)?.order ?? 0) <= order) told.set(claim, { offset, order })
    }
  }

  neededAt({ topic, partition }: Place): Offset | undefined {
    const told = [...(this.#needs.get(topic) ?? [])].filter(([claim]) => claim.startsWith(`${partition}/`))
    return told.length === 0 ? undefined : Math.min(...told.map(([, { offset }]) => offset))
  }

  members(group: string): MemberList {
    return this.#members.get(group) ?? { revision: 0, members: [] }
  }

  announce(group: string, sign: MemberSign): void {
    const others = this.members(group).members.filter(({ memberId }) => memberId !== sign.memberId)
    this.#setMembers(group, [...others, structuredClone(sign)])
  }

  withdraw(group: string, { memberId, incarnation }: Pick<MemberSign, 'memberId' | 'incarnation'>): void {
    const { members } = this.members(group)
    const left = members.filter((sign) => sign.memberId !== memberId || sign.incarnation !== incarnation)
    if (left.length < members.length) this.#setMembers(group, left)
  }

  /** Calls `watcher` whenever the members of a group change; the answer takes it away again. */
  watchMembers(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #setMembers(group: string, members: readonly MemberSign[]): void {
    this.#members.set(group, { revision: this.members(group).revision + 1, members })
    for (const watcher of [...this.#watchers]) watcher()
  }

  #append(at: Place, { position: _, ...entry }: ForwardedEntry, bounds: AppendBounds): Appended {
    try {
      return this.places.append([{ ...entry, ...at }], bounds)[0] as Appended
    } catch (error) {
      if (!isMillraceError(error, 'ID_REUSED')) throw error
      return this.places.firstOf({ ...entry, ...at }, bounds)
    }
  }
}

function markName({ group, partition }: ClaimName, at: Place): string {
  return `${at.partition}/${partition}/${group}`
}
