import type { Finding } from '../../../log/verification.ts'
import { logFormat } from '../catalog.ts'
import { numberIn } from '../keys.ts'
import type { Row } from '../store.ts'
import { damage, isWhole, leftover, objectIn, rowInvalid } from './damage.ts'

/** A topic as far as its row can be read. */
export interface KnownTopic {
  readonly id: number
  /** Its name; `#ID` when its row is damaged. */
  readonly name: string
  readonly deleting: boolean
  /** What each partition has. */
  readonly places: Map<number, KnownPlace>
}

/** A place of a topic. */
export interface KnownPlace {
  start: number
  /** Behind its last record. */
  end: number
  /** Where offsets behind the last record were skipped: the next one. */
  skippedTo: number
  /** The bytes of all records below `start`; undefined when the row that says both is damaged. */
  bytesBeforeStart: number | undefined
}

const needFix = 'Start the application: its group says anew what it needs. Until then do not trim.'
const epochFix = 'Restore the log from a backup. Without one, a process of before may not be fenced off.'

/** Verifies the rows that say what there is, and remembers what the other checks ask for. */
export class CatalogCheck {
  readonly topics = new Map<number, KnownTopic>()
  readonly groups = new Map<number, string>()
  /** What the row of the log says, where it can be read. */
  #log: { partitions: number; lastTopicId: number; lastGroupId: number } | undefined
  /** How many rows nothing of the catalog knows, by what they belong to. */
  readonly #orphans = new Map<string, { readonly finding: Finding; readonly kind: string; rows: number }>()

  /** How many partitions every topic has, at most when that is not known. */
  get partitions(): number {
    return this.#log?.partitions ?? 65_536
  }

  /** The row about the log as a whole. */
  log({ value }: Row): Finding[] {
    const read = objectIn(value, 'log')
    if ('finding' in read) return [read.finding]
    const { format, partitions, lastTopicId, lastGroupId, deduplicationKey } = read.row
    if (format !== logFormat)
      return [rowInvalid('log', `It has format ${String(format)}; this version reads ${logFormat}.`)]
    const isKey = Array.isArray(deduplicationKey) && deduplicationKey.length === 2
    if (!isWhole(partitions, 1) || !isWhole(lastTopicId) || !isWhole(lastGroupId) || !isKey) {
      return [rowInvalid('log', 'The row about the log lacks a number.')]
    }
    this.#log = { partitions, lastTopicId, lastGroupId }
    return []
  }

  /** A row of a topic. */
  topic({ key, value }: Row): Finding[] {
    const id = numberIn(key, 1, 4)
    const where = `topic #${id}`
    const remember = (name: string, deleting: boolean) =>
      this.topics.set(id, { id, name, deleting, places: new Map() })
    const read = objectIn(value, where)
    if ('finding' in read || typeof read.row.name !== 'string') {
      remember(`#${id}`, false)
      return ['finding' in read ? read.finding : rowInvalid(where, 'The topic has no name.')]
    }
    const { name, options, deleting } = read.row as { name: string; options?: unknown; deleting?: unknown }
    const isTaken = [...this.topics.values()].some((other) => other.name === name && !other.deleting)
    remember(name, deleting === true)
    if (deleting === true) return []
    return [
      ...(isTaken ? [rowInvalid(where, `Another topic is named '${name}' too.`)] : []),
      ...(typeof options === 'object' ? [] : [rowInvalid(where, `The topic '${name}' has no options.`)]),
      ...this.#checkId(where, id, this.#log?.lastTopicId),
    ]
  }

  /** A row of a group. */
  group({ key, value }: Row): Finding[] {
    const id = numberIn(key, 1, 4)
    const where = `group #${id}`
    const read = objectIn(value, where)
    const name = 'finding' in read ? undefined : read.row.name
    const isTaken = [...this.groups.values()].some((other) => other === name)
    this.groups.set(id, typeof name === 'string' ? name : `#${id}`)
    if ('finding' in read) return [read.finding]
    return [
      ...(typeof name === 'string' ? [] : [rowInvalid(where, 'The group has no name.')]),
      ...(isTaken ? [rowInvalid(where, `Another group is named '${String(name)}' too.`)] : []),
      ...this.#checkId(where, id, this.#log?.lastGroupId),
    ]
  }

  #checkId(where: string, id: number, last: number | undefined): Finding[] {
    if (last === undefined || id <= last) return []
    return [
      rowInvalid(where, `Its id ${id} is above ${last}, the last that was given: it may be given again.`),
    ]
  }

  /** What a place has lost. */
  place({ key, value }: Row): Finding[] {
    const at = { topicId: numberIn(key, 1, 4), partition: numberIn(key, 5, 2) }
    const place = this.placeOf(at.topicId, at.partition, 'place')
    if (place === undefined) return []
    const where = `start of ${this.nameOf(at)}`
    const read = objectIn(value, where)
    place.bytesBeforeStart = undefined
    if ('finding' in read) return [read.finding]
    const { start, end: skippedTo = 0, bytesBeforeStart } = read.row
    if (!isWhole(start) || !isWhole(bytesBeforeStart) || !isWhole(skippedTo))
      return [rowInvalid(where, 'The row lacks where the place starts.')]
    Object.assign(place, { start, end: start, skippedTo, bytesBeforeStart })
    return []
  }

  /** What a group needs of a place. */
  need({ key, value }: Row): Finding[] {
    const at = { topicId: numberIn(key, 1, 4), partition: numberIn(key, 5, 2) }
    const place = this.placeOf(at.topicId, at.partition, 'need')
    const group = this.groupOf(numberIn(key, 7, 4), 'need')
    if (place === undefined || group === undefined) return []
    const where = `need of group ${group} for ${this.nameOf(at)}`
    const read = objectIn(value, where, needFix)
    if ('finding' in read) return [read.finding]
    return isWhole(read.row.offset) ? [] : [rowInvalid(where, 'The row has no offset.', needFix)]
  }

  /** The last epoch of a group's partition. */
  epoch({ key, value }: Row): Finding[] {
    const group = this.groupOf(numberIn(key, 1, 4), 'epoch')
    if (group === undefined) return []
    const where = `epoch of ${group}/${numberIn(key, 5, 2)}`
    const read = objectIn(value, where, epochFix)
    if ('finding' in read) return [read.finding]
    return isWhole(read.row.epoch, 1) ? [] : [rowInvalid(where, 'The row has no epoch.', epochFix)]
  }

  /** A place by the numbers in the key of a row; undefined, and remembered as an orphan, where there is none. */
  placeOf(topicId: number, partition: number, kind: string): KnownPlace | undefined {
    const topic = this.topics.get(topicId)
    if (topic === undefined || partition >= this.partitions) {
      const where = topic === undefined ? `topic #${topicId}` : `${topic.name}/${partition}`
      this.#orphan(`${kind} ${where}`, damage('row-orphaned', where, '', restoreOrRemove), kind)
      return undefined
    }
    if (topic.deleting) {
      const where = `topic ${topic.name}`
      this.#orphan(`${kind} ${where}`, leftover('deletion-unfinished', where, '', nextOpening), kind)
      return undefined
    }
    const known = topic.places.get(partition)
    if (known !== undefined) return known
    const place = { start: 0, end: 0, skippedTo: 0, bytesBeforeStart: 0 }
    topic.places.set(partition, place)
    return place
  }

  /** The name of a group; undefined, and remembered as an orphan, where there is none. */
  groupOf(groupId: number, kind: string): string | undefined {
    const name = this.groups.get(groupId)
    if (name !== undefined) return name
    const where = `group #${groupId}`
    this.#orphan(`${kind} ${where}`, damage('row-orphaned', where, '', restoreOrRemove), kind)
    return undefined
  }

  #orphan(about: string, finding: Finding, kind: string): void {
    const known = this.#orphans.get(about)
    if (known === undefined) this.#orphans.set(about, { finding, kind, rows: 1 })
    else known.rows += 1
  }

  /** What was met of rows that the catalog does not know; one finding for all of a kind and owner. */
  orphans(): Finding[] {
    return [...this.#orphans.values()].map(({ finding, kind, rows }) => {
      const what = `${rows} ${rows === 1 ? 'row' : 'rows'} of kind '${kind}'`
      const problem =
        finding.severity === 'leftover'
          ? `The topic is deleted, and ${what} are still to be removed.`
          : `Nothing in the catalog knows ${what}.`
      return { ...finding, problem }
    })
  }

  /** A place in words. */
  nameOf({ topicId, partition }: { readonly topicId: number; readonly partition: number }): string {
    return `${this.topics.get(topicId)?.name ?? `#${topicId}`}/${partition}`
  }

  /** The place of a topic by its name; undefined where there is no such topic. */
  boundsOf(topic: string, partition: number): { readonly start: number; readonly end: number } | undefined {
    for (const { name, deleting, places } of this.topics.values()) {
      if (name !== topic || deleting) continue
      const { start = 0, end = 0, skippedTo = 0 } = places.get(partition) ?? {}
      return { start, end: Math.max(end, skippedTo) }
    }
    return undefined
  }

  /** What must be there and is not. */
  missing(hasOtherRows: boolean, hasLogRow: boolean): Finding[] {
    if (hasLogRow || !hasOtherRows) return []
    return [damage('row-missing', 'log', 'The row about the log as a whole is missing.')]
  }
}

const restoreOrRemove =
  'Restore the log from a backup: what these rows belong to is lost. Nothing reads them as they are.'
const nextOpening = 'Nothing: the next process that opens the log removes them.'
