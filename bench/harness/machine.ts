import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { serverVersion } from './servers.ts'

/** The machine that a run was on. */
export function machine(): { cpu: string; cores: number; memoryGiB: number; kernel: string; disk: string } {
  const [first] = cpus()
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    disk: diskOf(tmpdir()),
  }
}

/** The versions of everything that was measured. */
export function versions(): Readonly<Record<string, string>> {
  const packages = ['lmdb', 'fastify', 'ioredis', 'bullmq', '@nats-io/jetstream'].map((name) => [
    name,
    packageVersion(name),
  ])
  return {
    node: process.versions.node,
    millrace: packageVersion('millrace'),
    ...Object.fromEntries(packages),
    'redis-server': serverVersion('redis-server'),
    'nats-server': serverVersion('nats-server'),
  }
}

function packageVersion(name: string): string {
  const root = join(import.meta.dirname, '../..')
  const file = name === 'millrace' ? 'package.json' : join('node_modules', name, 'package.json')
  return createRequire(import.meta.url)(join(root, file)).version
}

/** The file system of a folder. */
function diskOf(folder: string): string {
  const { stdout } = spawnSync('df', ['--output=source,fstype', folder], { encoding: 'utf8' })
  return stdout?.trim().split('\n').at(-1)?.replace(/\s+/g, ' ') ?? 'unknown'
}

/** The anonymous memory of this process in MB: mapped files, which the system may drop at any time, do not count. */
export function anonymousMegabytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
}
