import type { ClaimListener, Membership } from '../../log/port.ts'
import { Renewals } from '../../log/renewals.ts'
import { movesToShare } from '../../log/shares.ts'
import type { Connection } from './connection.ts'
import type { Database } from './database.ts'
import { type ClaimContext, PostgresClaim } from './postgres-claim.ts'
import { goneText, type MemberRow } from './presence.ts'

/** Others find out by themselves when they cannot be told. */
const attemptsToClose = 3

/** What the groups of a process work with. */
export interface GroupsContext {
  readonly database: Database
  readonly partitions: number
  readonly processId: string
  readonly channel: string
  readonly leaseMs: number
  readonly claims: Omit<ClaimContext, 'database' | 'onFailed'>
  /** Runs in the background until it succeeds or the engine closes. */
  retry(name: string, task: () => Promise<void>): void
}

/** A member of this process. */
interface LocalMember {
  readonly groupId: number
  readonly group: string
  readonly id: string
  readonly listener: ClaimListener
  readonly claims: Map<number, PostgresClaim>
  /** For each partition, the highest epoch that is over. */
  readonly ended: Map<number, number>
  readonly renewals: Renewals
  left: boolean
  /** While it takes part anew. */
  rejoining: boolean
  syncing: Promise<void>
}

/**
 * The members of one process. Who has which partition is decided in the database, by whoever sees that it must change, one at a
 * time for each group; every process reads there what its members have been given.
 */
export class Groups {
  readonly #context: GroupsContext
  readonly #members = new Map<string, LocalMember>()
  readonly #joining = new Set<string>()

  constructor(context: GroupsContext) {
    this.#context = context
  }

  /** The numbers of the groups that this process has members of. */
  ids(): number[] {
    return [...new Set(Array.from(this.#members.values(), ({ groupId }) => groupId))]
  }

  /** Adds a member; resolves when what it could be given at once was announced. */
  async join(group: string, memberId: string, listener: ClaimListener): Promise<Membership> {
    const name = JSON.stringify([group, memberId])
    if (this.#joining.has(name)) throw memberTaken(group, memberId)
    this.#joining.add(name)
    try {
      const groupId = await this.#context.database.transact((connection) =>
        this.#enter(connection, group, memberId),
      )
      const member: LocalMember = {
        ...{ groupId, group, id: memberId, listener },
        ...{
          claims: new Map(),
          ended: new Map(),
          renewals: new Renewals(),
          left: false,
          rejoining: false,
          syncing: Promise.resolve(),
        },
      }
      this.#members.set(name, member)
      await this.#sync(member).catch((error: unknown) =>
        this.#leave(name, member).finally(() => Promise.reject(error)),
      )
      return {
        leave: () => this.#leave(name, member),
        get renewal() {
          return member.renewals.pending
        },
      }
    } catch (error) {
      this.#joining.delete(name)
      throw error
    }
  }

  /** Reads anew what the members of a group have been given; of all groups where none is named. */
  async sync(groupId?: number): Promise<void> {
    const members = [...this.#members.values()].filter(
      (member) => groupId === undefined || member.groupId === groupId,
    )
    await Promise.all(members.map((member) => this.#sync(member)))
  }

  /** What a heartbeat saw: members of this process that others took for gone, and members of others that are gone. */
  seen(rows: readonly MemberRow[]): void {
    for (const [name, member] of this.#members) {
      const present = rows.some(({ groupId, memberId, mine }) => {
        return mine && groupId === member.groupId && memberId === member.id
      })
      if (!present) this.#rejoin(name, member)
    }
    const groups = new Set<number>()
    for (const { groupId, memberId, mine, stale } of rows) {
      const known = [...this.#members.values()].some(
        (member) => member.groupId === groupId && member.id === memberId,
      )
      if (mine ? !known && this.#joining.size === this.#members.size : stale) groups.add(groupId)
    }
    for (const groupId of groups) {
      this.#context.retry('share partitions', () =>
        this.#context.database.transact((connection) => this.#removeGone(connection, groupId)),
      )
    }
  }

  /** Ends every membership. What cannot be told to the database it finds out by itself. */
  async close(): Promise<void> {
    const members = [...this.#members]
    for (const [, member] of members) this.#end(member)
    const groups = new Set(members.map(([, { groupId }]) => groupId))
    const { database, processId } = this.#context
    for (const groupId of groups) {
      await database.transact(async (connection) => {
        await this.#lock(connection, groupId)
        const text = 'delete from member where group_id = $1 and process_id = $2'
        await connection.query(text, [groupId, processId])
        await this.#share(connection, groupId)
      }, attemptsToClose)
    }
    const remove = 'delete from process where id = $1'
    await database.transact((connection) => connection.query(remove, [processId]), attemptsToClose)
  }

  async #enter(connection: Connection, group: string, memberId: string): Promise<number> {
    const { partitions, processId, leaseMs } = this.#context
    await connection.query('insert into consumer_group (name) values ($1) on conflict (name) do nothing', [
      group,
    ])
    const [row] = await connection.rows('select id from consumer_group where name = $1 for update', [group])
    const groupId = Number(row?.id)
    await connection.query(
      `insert into claim (group_id, partition, epoch) select $1::integer, p, 0 from generate_series(0, $2::integer - 1) as p
       on conflict do nothing`,
      [groupId, partitions],
    )
    const [other] = await connection.rows(
      `select m.process_id from member m join process p on p.id = m.process_id
       where m.group_id = $1 and m.member_id = $2 and m.process_id <> $3
         and not ${goneText('$4')}`,
      [groupId, memberId, processId, leaseMs],
    )
    if (other !== undefined) throw memberTaken(group, memberId)
    await connection.query(
      `insert into member (group_id, member_id, process_id) values ($1, $2, $3)
       on conflict (group_id, member_id) do update set process_id = excluded.process_id`,
      [groupId, memberId, processId],
    )
    // What a member of this name had before is given anew, with another epoch.
    await connection.query(
      'update claim set epoch = epoch + 1, member_id = null where group_id = $1 and member_id = $2',
      [groupId, memberId],
    )
    await this.#share(connection, groupId)
    return groupId
  }

  async #lock(connection: Connection, groupId: number): Promise<void> {
    await connection.query('select id from consumer_group where id = $1 for update', [groupId])
  }

  /** Gives every member its share; the group must be locked. */
  async #share(connection: Connection, groupId: number): Promise<void> {
    const members = await connection.rows('select member_id from member where group_id = $1', [groupId])
    const claims = await connection.rows(
      'select partition, member_id from claim where group_id = $1 order by partition for update',
      [groupId],
    )
    const moves = movesToShare(
      members.map(({ member_id }) => String(member_id)),
      claims.map(({ partition, member_id }) => {
        return { partition: Number(partition), memberId: member_id === null ? null : String(member_id) }
      }),
    )
    if (moves.length === 0) return
    await connection.query(
      `update claim c set epoch = c.epoch + 1, member_id = w.member_id
       from unnest($2::integer[], $3::text[]) as w (partition, member_id)
       where c.group_id = $1 and c.partition = w.partition`,
      [groupId, moves.map(({ partition }) => partition), moves.map(({ memberId }) => memberId)],
    )
    await this.#notify(connection, groupId)
  }

  async #notify(connection: Connection, groupId: number): Promise<void> {
    await connection.query('select pg_notify($1, $2)', [this.#context.channel, `group ${groupId}`])
  }

  /** Removes members whose process is gone, and those of this process that have left without its being told. */
  async #removeGone(connection: Connection, groupId: number): Promise<void> {
    const { processId, leaseMs } = this.#context
    await this.#lock(connection, groupId)
    const here = [...this.#members.values()]
      .filter((member) => member.groupId === groupId)
      .map(({ id }) => id)
    await connection.query(
      `delete from member m where m.group_id = $1 and case
         when m.process_id = $2 then m.member_id <> all ($3::text[])
         else not exists (select 1 from process p where p.id = m.process_id and not ${goneText('$4')}) end`,
      [groupId, processId, here, leaseMs],
    )
    await this.#share(connection, groupId)
  }

  #sync(member: LocalMember): Promise<void> {
    const synced = member.syncing.then(() => this.#read(member))
    member.syncing = synced.catch(() => undefined)
    return synced
  }

  async #read(member: LocalMember): Promise<void> {
    const { database, processId, claims } = this.#context
    const rows = await database.read(
      'claims',
      `select c.partition, c.epoch from member m
       join claim c on c.group_id = m.group_id and c.member_id = m.member_id
       where m.group_id = $1 and m.member_id = $2 and m.process_id = $3 order by c.partition`,
      [member.groupId, member.id, processId],
    )
    if (member.left) return
    const epochs = new Map(rows.map(({ partition, epoch }) => [Number(partition), Number(epoch)]))
    for (const [partition, claim] of [...member.claims]) {
      if (epochs.get(partition) !== claim.epoch) this.#forget(member, claim)
    }
    const { group, groupId } = member
    const onFailed = (claim: PostgresClaim, error: unknown) => this.#renew(member, claim, error)
    for (const [partition, epoch] of epochs) {
      if (member.claims.has(partition) || epoch <= (member.ended.get(partition) ?? -1)) continue
      const claim = new PostgresClaim({ group, groupId, partition, epoch }, { ...claims, database, onFailed })
      member.claims.set(partition, claim)
      member.listener(claim)
      if (member.left) return
    }
  }

  #forget(member: LocalMember, claim: PostgresClaim, cause?: unknown): void {
    if (member.claims.get(claim.partition) === claim) member.claims.delete(claim.partition)
    member.ended.set(claim.partition, Math.max(claim.epoch, member.ended.get(claim.partition) ?? -1))
    claim.lose(cause)
  }

  /** A claim that ended by a failure is given anew to its member, unless it has another owner already. */
  #renew(member: LocalMember, claim: PostgresClaim, error: unknown): void {
    member.renewals.begin()
    this.#forget(member, claim, error)
    this.#context.retry('renew a claim', async () => {
      if (!member.left) {
        await this.#context.database.transact((connection) =>
          connection.query(
            `update claim set epoch = epoch + 1 where group_id = $1 and partition = $2 and epoch = $3 and member_id = $4`,
            [member.groupId, claim.partition, claim.epoch, member.id],
          ),
        )
        await this.#sync(member)
      }
      member.renewals.end()
    })
  }

  /** Others took this member for gone, as after a long pause: its claims are over, and it takes part anew. */
  #rejoin(name: string, member: LocalMember): void {
    if (!member.rejoining) member.renewals.begin()
    for (const claim of [...member.claims.values()]) this.#forget(member, claim)
    if (member.rejoining) return
    member.rejoining = true
    this.#context.retry('rejoin a group', async () => {
      if (this.#members.get(name) === member) {
        await this.#context.database.transact((connection) =>
          this.#enter(connection, member.group, member.id),
        )
        await this.#sync(member)
      }
      member.rejoining = false
      member.renewals.end()
    })
  }

  async #leave(name: string, member: LocalMember): Promise<void> {
    if (member.left) return
    this.#end(member)
    this.#members.delete(name)
    this.#joining.delete(name)
    await this.#context.database.transact(async (connection) => {
      await this.#lock(connection, member.groupId)
      await connection.query(
        'delete from member where group_id = $1 and member_id = $2 and process_id = $3',
        [...[member.groupId, member.id, this.#context.processId]],
      )
      await this.#share(connection, member.groupId)
    })
  }

  #end(member: LocalMember): void {
    member.left = true
    for (const claim of [...member.claims.values()]) this.#forget(member, claim)
  }
}

function memberTaken(group: string, memberId: string): TypeError {
  return new TypeError(`group '${group}' has a member '${memberId}' already; give each its own id`)
}
