import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { StateName, StateStore, StateStores } from '../../log/state-store.ts'
import { storageFailed } from './failures.ts'
import { allOf, groupKey, numberIn } from './keys.ts'
import { LmdbStateStore, removeAll } from './lmdb-state-store.ts'
import { type OpenedStore, openStore } from './open-log.ts'
import { sealJson } from './sealed.ts'
import { Writes } from './writes.ts'

/** Options of {@link openLmdbStateStores}. */
export interface LmdbStateStoresOptions {
  readonly runtime: Runtime
  /** Where processes of this machine keep their states; in the system's folder for temporary files unless given. */
  readonly folder?: string
}

/** A machine has not more processes than this. */
const mostProcesses = 1024
/** When so many folders cannot be opened it is not them. */
const mostFailures = 3

/**
 * Opens the local states of a process on disk, so that they need no memory. Each process of a machine has a folder of its
 * own; one that starts goes on with what an earlier one that has ended left there. Nothing is forced to the disk: what was there
 * before the machine went down is not used again. Rejects with `STORAGE_FAILED` where there is no place for it.
 */
export async function openLmdbStateStores(options: LmdbStateStoresOptions): Promise<StateStores> {
  const { runtime, folder = defaultFolder() } = options
  const boot = bootId()
  try {
    makePrivate(folder)
    if (boot === undefined) {
      const own = mkdtempSync(join(folder, 'process-'))
      return new LmdbStateStores(await openStore(own, { runtime, unsafeNoSync: true }), () => remove(own))
    }
    removeFormer(folder, boot)
    return new LmdbStateStores(await openFree(join(folder, boot), runtime), () => {})
  } catch (error) {
    throw isMillraceError(error) ? error : storageFailed(folder, error)
  }
}

/** Opens the first folder that no living process has; one that cannot be opened is left alone. */
async function openFree(folder: string, runtime: Runtime): Promise<OpenedStore> {
  makePrivate(folder)
  let failures = 0
  for (let index = 0; ; index += 1) {
    try {
      const own = join(folder, String(index))
      return await openStore(own, { runtime, unsafeNoSync: true, patienceMs: 0 })
    } catch (error) {
      if (!isMillraceError(error, 'LOG_IN_USE')) failures += 1
      if (failures >= mostFailures || index >= mostProcesses) throw error
    }
  }
}

/** What was left there before the machine was started last; nobody can be using it. */
function removeFormer(folder: string, boot: string): void {
  for (const name of readdirSync(folder)) {
    if (name !== boot && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name)) remove(join(folder, name))
  }
}

/** Other users of the machine neither read states nor put any there. */
function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const owner = statSync(folder).uid
  if (process.getuid !== undefined && owner !== process.getuid()) {
    throw new Error(`${folder} belongs to another user`)
  }
}

function defaultFolder(): string {
  return join(tmpdir(), `millrace-state-${process.getuid?.() ?? 'user'}`)
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Another for every start of the machine; undefined where the system does not say. */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return undefined
  }
}

class LmdbStateStores implements StateStores {
  readonly #opened: OpenedStore
  readonly #closed: () => void
  /** The id of each group of a log that there is something of. */
  readonly #groups = new Map<string, number>()
  #adding: Promise<unknown> = Promise.resolve()

  constructor(opened: OpenedStore, closed: () => void) {
    this.#opened = opened
    this.#closed = closed
    const { store } = opened
    for (const { key, value } of store.rows(allOf('group'))) {
      this.#groups.set(store.parse<{ name: string }>(value).name, numberIn(key, 1, 4))
    }
  }

  async open({ logId, group, partition }: StateName): Promise<StateStore> {
    const name = JSON.stringify([logId, group])
    const adding = this.#adding.then(async () => {
      await this.#removeOthers(logId)
      return this.#groups.get(name) ?? this.#add(name)
    })
    this.#adding = adding.catch(() => undefined)
    return new LmdbStateStore(this.#opened.store, await adding, partition)
  }

  async close(): Promise<void> {
    await this.#opened.close()
    this.#closed()
  }

  /** A process works on one log: what was left of others only takes room. The marks go first. */
  async #removeOthers(logId: string): Promise<void> {
    const { store } = this.#opened
    for (const [name, id] of [...this.#groups]) {
      if ((JSON.parse(name) as [string, string])[0] === logId) continue
      await removeAll(store, allOf('epoch', [id, 4]))
      await removeAll(store, allOf('state', [id, 4]))
      await removeAll(store, allOf('group', [id, 4]))
      this.#groups.delete(name)
    }
  }

  async #add(name: string): Promise<number> {
    const id = Math.max(0, ...this.#groups.values()) + 1
    const writes = new Writes()
    writes.put(groupKey(id), sealJson({ name }))
    await this.#opened.store.writeAll(writes)
    this.#groups.set(name, id)
    return id
  }
}
