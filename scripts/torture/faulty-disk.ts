import { spawnSync } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inSeconds, OutOfTime, patienceMs } from './out-of-time.ts'

/** Calls of the system that can be made to fail, as libfiu names them, and with which error. */
export const diskFaults = {
  /** `fdatasync` fails with EIO. */
  sync: { name: 'posix/io/sync/fdatasync', errno: 5 },
  /** Positioned writes fail with ENOSPC. */
  full: { name: 'posix/io/rw/pwrite', errno: 28 },
  /** Positioned writes fail with EIO. */
  write: { name: 'posix/io/rw/pwrite', errno: 5 },
} as const

/** One of {@link diskFaults}. */
export type DiskFault = keyof typeof diskFaults

const libraries = ['/usr/lib/fiu/fiu_run_preload.so', '/usr/lib/fiu/fiu_posix_preload.so']

/** Whether disks can be made to fail here: installs Debian's fiu-utils where it is missing and that is possible. */
export function canFail(): boolean {
  if (libraries.every((library) => existsSync(library))) return true
  if (process.platform !== 'linux') return false
  const installer = fileURLToPath(new URL('../debian-packages.ts', import.meta.url))
  spawnSync(process.execPath, [installer, 'fiu-run=fiu-utils'], { stdio: 'inherit' })
  return libraries.every((library) => existsSync(library))
}

const lookAgainMs = 2

/** Makes the disk of one process fail, and mends it, while the process runs. */
export class FaultyDisk {
  readonly #prefix: string
  readonly #failing = new Map<number, string>()

  /** `prefix` is a path that begins the names of the pipes by which the process is told. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /**
   * What the process must have in its environment.
   *
   * A thread that calls something for the first time makes libfiu look it up, under a lock that every allocation takes; who loads a
   * library allocates under the lock that the look-up takes. A process in which both happen at once stands still for ever. So
   * LMDB is loaded first, while there are hardly any other threads at work, and nothing else. One of some hundreds still stands still
   * then, where all processors are busy: whoever starts it has to start another.
   */
  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: libraries.join(' '),
      FIU_CTRL_FIFO: this.#prefix,
      NODE_OPTIONS: `--require ${createRequire(import.meta.url).resolve('lmdb')}`,
      MSGPACKR_NATIVE_ACCELERATION_DISABLED: 'true',
    }
  }

  /**
   * From now on so many of the calls fail, and no others; resolves once the process knows, or has ended. Rejects with {@link OutOfTime}
   * where it does neither, as {@link mend} does.
   */
  async fail(pid: number, fault: DiskFault, probability = 1): Promise<void> {
    await this.mend(pid)
    const { name, errno } = diskFaults[fault]
    const [how, chance] = probability < 1 ? ['enable_random', `,probability=${probability}`] : ['enable', '']
    await this.#tell(pid, `${how} name=${name},failinfo=${errno}${chance}`)
    this.#failing.set(pid, name)
  }

  /** From now on nothing fails. */
  async mend(pid: number): Promise<void> {
    const name = this.#failing.get(pid)
    this.#failing.delete(pid)
    if (name !== undefined) await this.#tell(pid, `disable name=${name}`)
  }

  /** The pipes are opened for reading and writing, so that a process which ends meanwhile stops nobody. */
  async #tell(pid: number, command: string): Promise<void> {
    const path = `${this.#prefix}-${pid}`
    const [commands, answers] = [await openPipe(`${path}.in`), await openPipe(`${path}.out`)]
    try {
      await commands?.write(`${command}\n`)
      for (let waitedMs = 0; waitedMs < patienceMs && isAlive(pid); waitedMs += lookAgainMs) {
        if (answers !== undefined && (await hasAnswer(answers))) return
        await sleep(lookAgainMs)
      }
      if (isAlive(pid)) {
        const limit = inSeconds(patienceMs)
        throw new OutOfTime(`process ${pid}, or its libfiu, did not answer to '${command}' within ${limit}`)
      }
    } finally {
      await commands?.close()
      await answers?.close()
    }
  }
}

/** Undefined where there is none: a process that ends in order takes its own away, a moment before it is gone. */
async function openPipe(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDWR | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw error
  }
}

async function hasAnswer(answers: FileHandle): Promise<boolean> {
  try {
    return (await answers.read(Buffer.alloc(64))).bytesRead > 0
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EAGAIN') return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
