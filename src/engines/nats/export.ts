import type { Runtime } from '../../core/runtime.ts'
import { Outbox } from '../../log/journal/outbox.ts'
import { rebuild } from '../../log/journal/rebuild.ts'
import { fence } from '../../log/journal/take-claim.ts'
import { MemoryStateStores } from '../../log/memory-state-stores.ts'
import { importUnfinished, type LogExport, logUnknown, type Move, stillInUse } from '../../log/moving.ts'
import { Connection } from './connection.ts'
import { NatsContents } from './contents.ts'
import { toMillraceError } from './failures.ts'
import { Names } from './names.ts'
import { NatsServers } from './nats-servers.ts'
import { readSettings } from './settings.ts'
import { changeMarks, readLog } from './streams.ts'

/** For so long answers of processes are waited for that have the log open. */
const answeredMs = 1000
/** Processes that have the log open ask for its mark once a second while they write. */
const noticedMs = 1500

/** Opens the log on NATS servers to be moved away; rejects as `openNats` does, and never makes anything. */
export async function exportNats(url: string, options: { readonly runtime: Runtime }): Promise<LogExport> {
  const settings = readSettings(url)
  const names = new Names(settings.log)
  const connection = await Connection.open(settings, options.runtime)
  try {
    const log = await readLog(connection, names)
    if (log === undefined) throw logUnknown(settings.where)
    if (log.from?.finished === false) throw importUnfinished(settings.where, log.from)
    await checkUnused(connection, names)
    const servers = await NatsServers.open(
      settings,
      { ...options, partitions: log.partitions },
      { whateverItsMarks: true },
    )
    return new NatsExport(servers, options.runtime, log.to)
  } catch (error) {
    throw toMillraceError(error, settings.where)
  } finally {
    await connection.close()
  }
}

/** Rejects with `LOG_IN_USE` when a process answers that has the log open. */
async function checkUnused(connection: Connection, names: Names): Promise<void> {
  const reply = connection.inbox()
  let processes = 0
  const answers = connection.subscribe(reply, ({ data }) => {
    // A server says without a word that nobody is there.
    if (data.length > 0) processes += 1
  })
  connection.client.publish(names.hints.topics, new Uint8Array(), { reply })
  await connection.runtime.sleep(answeredMs)
  answers.unsubscribe()
  if (processes === 0) return
  const who = processes === 1 ? 'one process' : `${processes} processes`
  throw stillInUse(connection.where, who, { processes })
}

class NatsExport extends NatsContents implements LogExport {
  readonly #runtime: Runtime
  #mark: Move | undefined

  constructor(servers: NatsServers, runtime: Runtime, mark: Move | undefined) {
    super(servers)
    this.#runtime = runtime
    this.#mark = mark
  }

  get mark(): Move | undefined {
    return this.#mark
  }

  async setMark(mark: Move | undefined): Promise<void> {
    const { connection, names } = this.servers.parts
    await changeMarks(connection, names, { to: mark })
    connection.client.publish(names.hints.topics, new Uint8Array())
    this.#mark = mark
    if (mark === undefined || mark.finished) return
    await this.#runtime.sleep(noticedMs)
    await this.#fenceAll()
  }

  /** Takes every claim, so that no former owner commits any more, and forwards what they had not forwarded. */
  async #fenceAll(): Promise<void> {
    for (const group of await this.listGroups()) {
      for (let partition = 0; partition < this.partitions; partition += 1) {
        const name = { group, partition }
        const journal = this.servers.journal(name)
        if ((await journal.last()) === undefined) continue
        const epoch = await fence(name, 'millrace migrate', journal)
        if (epoch === undefined)
          throw stillInUse(this.servers.parts.connection.where, `an owner of '${group}'`, {})
        const store = await new MemoryStateStores().open({ logId: this.servers.logId, ...name })
        const { pending } = await rebuild({ name, journal, store, epoch })
        await new Outbox(this.servers, name).recover(pending)
      }
    }
  }
}
