import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a worker and all that it has started may leave behind. */
export interface Leftovers {
  /** The session that the worker leads: whatever it has started is in it, or was started by what is. */
  readonly session: number
  /** Where it has put everything that is temporary, mounted disks too. */
  readonly folder: string
  /** Folders in there that somebody is to look at. */
  readonly kept: readonly string[]
}

const endsWithinMs = 30_000
const lookAgainMs = 10

/**
 * Ends every process but this one, unmounts every disk and removes every folder, whatever state its owner was in. Gives what it could not
 * end or remove, a few words for each.
 */
export async function removeLeftovers({ session, folder, kept }: Leftovers): Promise<readonly string[]> {
  const left: string[] = []
  let processes = kill(session)
  for (let waitedMs = 0; processes.length > 0 && waitedMs < endsWithinMs; waitedMs += lookAgainMs) {
    await sleep(lookAgainMs)
    processes = kill(session)
  }
  left.push(...processes.map((pid) => `process ${pid}`))
  // A disk that is on another one goes first.
  for (const disk of disksIn(folder).reverse()) spawnSync('umount', ['--lazy', disk])
  left.push(...disksIn(folder).map((disk) => `the disk at ${disk}`))
  const entries = await readdir(folder).catch(() => [])
  const others = entries.map((name) => join(folder, name)).filter((path) => !kept.includes(path))
  const all = others.length === entries.length ? [folder] : others
  for (const path of all) {
    await rm(path, { recursive: true, force: true }).catch(() => left.push(path))
  }
  return left
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly session: number
}

/** Ends what has not ended yet; gives which that is. */
function kill(session: number): readonly number[] {
  if (process.platform !== 'linux') {
    // What a group has of its own kind is all that other systems tell.
    signal(-session)
    return []
  }
  const found = processesOf(session)
  for (const pid of found) signal(pid)
  return found
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

/** Sessions of PostgreSQL lead sessions of their own, and are known by who has started them. */
function processesOf(session: number): readonly number[] {
  const all = allProcesses()
  const found = new Set(all.filter((each) => each.session === session).map(({ pid }) => pid))
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid)
  }
  found.delete(process.pid)
  return [...found]
}

function allProcesses(): readonly Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid)) return []
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      // Its name is in brackets, and may have any character.
      const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // One that has ended waits for its parent to ask how.
      return state === 'Z' ? [] : [{ pid, parent: Number(parent), session: Number(session) }]
    } catch {
      return []
    }
  })
}

/** In the order in which they were mounted. */
function disksIn(folder: string): string[] {
  if (process.platform !== 'linux') return []
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  return points.map(unescaped).filter((point) => point.startsWith(`${folder}/`))
}

/** Spaces and the like are written as `\040`. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
