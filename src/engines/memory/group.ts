import { KeyValues } from '../../log/key-values.ts'
import type { Offset } from '../../log/port.ts'

/** One member's right to one partition for one epoch. Whoever holds the current one of a partition can commit. */
export interface Ownership {
  readonly group: string
  readonly partition: number
  readonly epoch: number
  readonly member: GroupMember
}

/** What a group knows of a member. The calls come while the log is being changed: a member acts on them in a later step. */
export interface GroupMember {
  readonly id: string
  given(ownership: Ownership): void
  lost(ownership: Ownership): void
}

/** What a group keeps of one partition, whoever owns it. */
export interface PartitionState {
  readonly values: KeyValues
  /** For each topic, the lowest offset that the group still needs. */
  readonly needs: Map<string, Offset>
}

/** One group: its members, who owns which partition, and each partition's state. */
export class Group {
  readonly name: string
  readonly #states: readonly PartitionState[]
  readonly #owners: (Ownership | undefined)[]
  readonly #epochs: number[]
  #members: GroupMember[] = []

  constructor(name: string, partitions: number) {
    this.name = name
    this.#states = Array.from({ length: partitions }, () => ({ values: new KeyValues(), needs: new Map() }))
    this.#owners = Array.from({ length: partitions }, () => undefined)
    this.#epochs = Array.from({ length: partitions }, () => 0)
  }

  state(partition: number): PartitionState {
    return this.#states[partition] as PartitionState
  }

  get hasMembers(): boolean {
    return this.#members.length > 0
  }

  /** The last epoch of a partition; 0 when there was none. */
  epoch(partition: number): number {
    return this.#epochs[partition] ?? 0
  }

  setEpoch(partition: number, epoch: number): void {
    this.#epochs[partition] = epoch
  }

  holds(ownership: Ownership): boolean {
    return this.#owners[ownership.partition] === ownership
  }

  /** Throws `TypeError` when there is a member of that id already. */
  join(member: GroupMember): void {
    if (this.#members.some(({ id }) => id === member.id)) {
      throw new TypeError(`group '${this.name}' has a member '${member.id}' already; give each its own id`)
    }
    this.#members = [...this.#members, member].sort((left, right) => (left.id < right.id ? -1 : 1))
    this.#spread()
  }

  leave(member: GroupMember): void {
    if (!this.#members.includes(member)) return
    this.#members = this.#members.filter((other) => other !== member)
    for (const ownership of [...this.#owners]) {
      if (ownership?.member === member) this.#take(ownership)
    }
    this.#spread()
  }

  /** Ends an ownership and gives the same member a new one, of a higher epoch. */
  renew(ownership: Ownership): void {
    if (!this.holds(ownership)) return
    this.#take(ownership)
    this.#give(ownership.partition, ownership.member)
  }

  /** Gives every member its equal share, and moves no partition that need not move. */
  #spread(): void {
    const room = new Map<GroupMember, number>()
    for (const [index, member] of this.#members.entries()) {
      const share = Math.floor(this.#owners.length / this.#members.length)
      room.set(member, index < this.#owners.length % this.#members.length ? share + 1 : share)
    }
    for (const ownership of [...this.#owners]) {
      if (ownership === undefined) continue
      const left = room.get(ownership.member) ?? 0
      if (left === 0) this.#take(ownership)
      else room.set(ownership.member, left - 1)
    }
    for (const [partition, ownership] of this.#owners.entries()) {
      if (ownership !== undefined) continue
      const member = this.#members.find((candidate) => (room.get(candidate) ?? 0) > 0)
      if (member === undefined) return
      room.set(member, (room.get(member) ?? 0) - 1)
      this.#give(partition, member)
    }
  }

  #take(ownership: Ownership): void {
    this.#owners[ownership.partition] = undefined
    ownership.member.lost(ownership)
  }

  #give(partition: number, member: GroupMember): void {
    const epoch = (this.#epochs[partition] ?? 0) + 1
    const ownership: Ownership = { group: this.name, partition, epoch, member }
    this.#epochs[partition] = epoch
    this.#owners[partition] = ownership
    member.given(ownership)
  }
}
