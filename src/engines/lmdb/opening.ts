import { readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { isMillraceError, MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { RawDatabase } from './database.ts'
import { allOf, numberIn, openingKey } from './keys.ts'
import { sealJson, unseal } from './sealed.ts'

/** Who has a log open. */
export interface Owner {
  readonly pid: number
  readonly thread: number
  /** Tells a process from a later one with the same pid; absent where the system does not say. */
  readonly startedAs?: string
}

/** The value of an opening that is over. */
export const releasedOpening: Uint8Array = sealJson({})

/** This process, as an owner. */
export function thisProcess(): Owner {
  const startedAs = startOf(process.pid)
  return startedAs === undefined || startedAs === 'ended'
    ? { pid: process.pid, thread: threadId }
    : { pid: process.pid, thread: threadId, startedAs }
}

const defaultPatienceMs = 2000
const lookAgainMs = 50

/**
 * Takes the log for `owner` and gives the number of this opening. A process that was killed holds its log until the system
 * has taken it down, so an owner that lives is given a moment to end before it is `LOG_IN_USE`.
 */
export function takeOpening(
  database: RawDatabase,
  folder: string,
  owner: Owner,
  runtime: Runtime,
  patienceMs?: number,
): Promise<number> {
  return withPatience(runtime, patienceMs, () => claimOpening(database, folder, owner))
}

/** Resolves once no process has the log open, with the same patience and without taking it; or throws `LOG_IN_USE`. */
export async function untilFree(
  database: RawDatabase,
  folder: string,
  owner: Owner,
  runtime: Runtime,
): Promise<void> {
  await withPatience(runtime, undefined, () => checkFree(database, folder, owner))
}

async function withPatience<T>(
  runtime: Runtime,
  patienceMs: number | undefined,
  attempt: () => T,
): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += lookAgainMs) {
    try {
      return attempt()
    } catch (error) {
      if (waitedMs >= (patienceMs ?? defaultPatienceMs) || !isMillraceError(error, 'LOG_IN_USE')) throw error
    }
    await runtime.sleep(lookAgainMs)
  }
}

/**
 * Takes the log for `owner` in one transaction, so that of two processes one is refused, and gives the number of this
 * opening. Throws `LOG_IN_USE` while the last owner lives. Every later write depends on the row of this opening.
 */
function claimOpening(database: RawDatabase, folder: string, owner: Owner): number {
  return database.transactionSync(() => {
    const incarnation = checkFree(database, folder, owner)
    if (incarnation > 0) database.removeSync(openingKey(incarnation))
    database.putSync(openingKey(incarnation + 1), sealJson(owner))
    return incarnation + 1
  })
}

/** Gives the number of the last opening, 0 when there was none. Throws `LOG_IN_USE` while its owner lives. */
function checkFree(database: RawDatabase, folder: string, owner: Owner): number {
  const { start, end } = allOf('opening')
  let incarnation = 0
  for (const { key, value } of database.getRange({ start, end })) {
    incarnation = numberIn(key, 1, 6)
    const last = unseal(value)
    const holder = last === undefined ? {} : (JSON.parse(Buffer.from(last).toString()) as Partial<Owner>)
    if (holder.pid !== undefined && !isSame(holder, owner) && isAlive(holder.pid, holder.startedAs)) {
      throw inUse(folder, holder.pid)
    }
  }
  return incarnation
}

/** Somebody has the log open. */
export function inUse(folder: string, pid: number): MillraceError {
  return new MillraceError('LOG_IN_USE', `The log is open in process ${pid}.`, {
    where: folder,
    fix: 'Stop that process first, talk to it by its platform port, or use another folder.',
    facts: { pid },
  })
}

/** Whether an opening was this very thread's: one that it could not release because the disk failed. */
function isSame(holder: Partial<Owner>, owner: Owner): boolean {
  return holder.pid === owner.pid && holder.startedAs === owner.startedAs && holder.thread === owner.thread
}

function isAlive(pid: number, startedAs: string | undefined): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ESRCH') return false
  }
  const start = startOf(pid)
  return start === undefined || startedAs === undefined ? start !== 'ended' : start === startedAs
}

/** When a process started, counted from which boot; `ended` for one that only waits for its parent; Linux only. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return 'ended'
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`
  } catch {
    return undefined
  }
}
