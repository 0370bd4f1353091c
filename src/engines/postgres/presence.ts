import type { Runtime } from '../../core/runtime.ts'
import { Connection, type Connector } from './connection.ts'
import { ConnectionLost, sessionRequired } from './failures.ts'

/** A member of a group, as the database has it. */
export interface MemberRow {
  readonly groupId: number
  readonly memberId: string
  /** Whether it is a member of this process. */
  readonly mine: boolean
  /** Whether its process is gone. */
  readonly stale: boolean
}

/** What the presence of a process tells its engine. */
export interface PresenceHooks {
  notified(payload: string): void
  /** Notifications may have been missed: everything that is known must be looked up again. */
  lookAgain(): Promise<void>
  /** The groups that this process has members of. */
  groups(): readonly number[]
  /** Who is in these groups. */
  seen(members: readonly MemberRow[]): void
}

/** What a presence is known by. */
export interface PresenceOptions {
  readonly processId: string
  readonly channel: string
  readonly leaseMs: number
}

const firstWaitMs = 50
const longestWaitMs = 1000
const answerTimeoutMs = 10_000
const echoTimeoutMs = 5000
/** Beats of a process between two looks at everything, in case that a notification was lost after all. */
const beatsBetweenLooks = 20

/**
 * Whether a process is gone, as a condition on its row `p`: its session has ended and no other has come in its place for a moment,
 * or it has not been seen for the length of a lease. `lease` is a parameter in milliseconds.
 */
export function goneText(lease: string): string {
  const ago = (share: string) => `clock_timestamp() - ${lease}::double precision * interval '${share} ms'`
  return `(p.id is null or p.seen < ${ago('1')} or p.seen < ${ago('0.2')} and not exists (
    select 1 from pg_stat_activity a where a.pid = p.session_pid
      and (a.backend_start is null or a.backend_start = p.session_start)))`
}

const seenText = `insert into process (id, seen, session_pid, session_start)
  select $1, clock_timestamp(), pid, backend_start from pg_stat_activity where pid = pg_backend_pid()
  on conflict (id) do update set
    seen = excluded.seen, session_pid = excluded.session_pid, session_start = excluded.session_start
  returning extract(epoch from seen)::double precision as since`

const membersText = `select m.group_id, m.member_id, m.process_id = $1::text as mine,
    $3::boolean and ${goneText('$4')} as stale
  from member m left join process p on p.id = m.process_id
  where m.group_id = any ($2::integer[]) or m.process_id = $1::text`

/** A process's session for notifications and heartbeats. It is made anew whenever it is lost. */
export class Presence {
  readonly #connector: Connector
  readonly #runtime: Runtime
  readonly #options: PresenceOptions
  readonly #hooks: PresenceHooks
  readonly #ending = new AbortController()
  #connection: Connection | undefined
  /** When this session began, by the clock of the database. */
  #sinceSeconds = 0

  constructor(connector: Connector, runtime: Runtime, options: PresenceOptions, hooks: PresenceHooks) {
    this.#connector = connector
    this.#runtime = runtime
    this.#options = options
    this.#hooks = hooks
  }

  /** Resolves once the process is known to the others and is told of news. Rejects with what keeps it from that. */
  async begin(): Promise<void> {
    const connection = await this.#connect()
    this.#runtime.spawn('postgres presence', () => this.#run(connection))
  }

  close(): void {
    this.#ending.abort()
    this.#connection?.close()
  }

  async #run(first: Connection): Promise<void> {
    let connection: Connection | undefined = first
    let waitMs = firstWaitMs
    while (!this.#ending.signal.aborted) {
      try {
        connection ??= await this.#connect()
        waitMs = firstWaitMs
        await this.#beat(connection)
      } catch {
        connection?.close()
        connection = undefined
        await this.#runtime.sleep(waitMs, this.#ending.signal).catch(() => undefined)
        waitMs = Math.min(2 * waitMs, longestWaitMs)
      }
    }
  }

  async #connect(): Promise<Connection> {
    const parameters = { search_path: this.#connector.settings.schema, synchronous_commit: 'off' }
    const connection = await Connection.open(this.#connector, parameters, answerTimeoutMs)
    try {
      connection.onNotification((payload) => this.#hooks.notified(payload))
      await connection.query(`listen "${this.#options.channel}"`)
      const [row] = await connection.rows(seenText, [this.#options.processId])
      this.#sinceSeconds = Number(row?.since)
      await this.#hooks.lookAgain()
    } catch (error) {
      connection.close()
      throw error
    }
    if (this.#ending.signal.aborted) connection.close()
    this.#connection = connection
    return connection
  }

  /** Tells that this process lives, and looks who else does, until the session is lost. */
  async #beat(connection: Connection): Promise<void> {
    const lost = new AbortController()
    connection.onLost((error) => lost.abort(error))
    const signal = AbortSignal.any([lost.signal, this.#ending.signal])
    for (let beats = 1; ; beats += 1) {
      await this.#runtime.sleep(this.#options.leaseMs / 4, signal)
      await this.#tell(connection)
      if (beats % beatsBetweenLooks === 0) await this.#hooks.lookAgain()
    }
  }

  async #tell(connection: Connection): Promise<void> {
    const { processId, leaseMs } = this.#options
    const [row] = await connection.rows(seenText, [processId], 'seen')
    // When the server was away for all, the others are given time to come back.
    const isSettled = Number(row?.since) - this.#sinceSeconds > leaseMs / 5000
    const values = [processId, this.#hooks.groups(), isSettled, leaseMs]
    const rows = await connection.rows(membersText, values, 'members')
    this.#hooks.seen(
      rows.map((row) => ({
        groupId: Number(row.group_id),
        memberId: String(row.member_id),
        mine: row.mine === true,
        stale: row.stale === true,
      })),
    )
  }
}

/** Throws `SESSION_REQUIRED` unless a notification of one session arrives at another. */
export async function checkSessions(connector: Connector, runtime: Runtime): Promise<void> {
  const { where } = connector.settings
  const channel = `millrace_echo_${runtime.id()}`
  const listening = await Connection.open(connector)
  const timeout = new AbortController()
  try {
    const heard = new Promise<void>((resolve, reject) => {
      listening.onNotification(() => resolve())
      listening.onLost((error) => reject(new ConnectionLost(error.message, { cause: error })))
    })
    heard.catch(() => undefined)
    await listening.query(`listen "${channel}"`)
    const telling = await Connection.open(connector)
    await telling.query('select pg_notify($1, $2)', [channel, 'echo']).finally(() => telling.close())
    const late = runtime.sleep(echoTimeoutMs, timeout.signal).then(() => {
      throw sessionRequired(where)
    })
    late.catch(() => undefined)
    await Promise.race([heard, late])
  } finally {
    timeout.abort()
    listening.close()
  }
}
