import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackedPackage } from '../../../scripts/debian-release.ts'

/** A `nats-server` that can be started. */
export interface NatsProgram {
  readonly path: string
  /** As `2.10.27`. */
  readonly version: string
  /** Whether what was acknowledged outlives leaders that end, or are paused, while they are written to: 2.9.15 or newer. */
  readonly isSound: boolean
}

const installer = fileURLToPath(new URL('../../../scripts/debian-packages.ts', import.meta.url))
const sound = [2, 9, 15] as const
/** The release of Debian whose server is taken where the machine's own is older. */
const newerRelease = 'trixie'

/** Debian puts it where only root looks. */
function findProgram(): NatsProgram | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => programAt(join(folder, 'nats-server'))).find((found) => found !== undefined)
}

function installProgram(): NatsProgram | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  spawnSync(process.execPath, [installer, 'nats-server'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return findProgram()
}

/** The program in a file; undefined where there is none, or it does not run here. */
function programAt(path: string): NatsProgram | undefined {
  if (!existsSync(path)) return undefined
  const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  const [, version, ...numbers] = /v((\d+)\.(\d+)\.(\d+))/.exec(stdout ?? '') ?? []
  if (version === undefined) return undefined
  return { path, version, isSound: isAtLeast(numbers.map(Number), sound) }
}

function isAtLeast(version: readonly number[], least: readonly number[]): boolean {
  const index = least.findIndex((number, at) => number !== version[at])
  return index < 0 || (version[index] ?? 0) > (least[index] ?? 0)
}

/** Finds something out once, when it is asked for. */
function once<T>(find: () => T): () => T {
  let found: { readonly value: T } | undefined
  return () => {
    found ??= { value: find() }
    return found.value
  }
}

/** The machine's own server, installed where that is possible; undefined where there is none. Says so loudly. */
export const systemNats = once(() => {
  const program = findProgram() ?? installProgram()
  if (program === undefined) {
    console.error('SKIPPED: there is no nats-server here, and it could not be installed.')
  }
  return program
})

/**
 * A server that is sound: the machine's own, or that of a newer release of Debian where its own is not. Undefined where there is none.
 * Says so loudly.
 */
export const soundNats = once(() => {
  const system = systemNats()
  if (system?.isSound === true) return system
  const folder = process.platform === 'linux' ? unpackedPackage('nats-server', newerRelease) : undefined
  const newer = folder === undefined ? undefined : programAt(join(folder, 'usr', 'sbin', 'nats-server'))
  if (newer === undefined) {
    console.error(
      'SKIPPED: there is no nats-server of 2.9.15 or newer here, and none could be had from Debian.',
    )
  }
  return newer
})
