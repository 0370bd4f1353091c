import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { ServerName } from './row.ts'

/** A server that runs for one row. */
export interface Server {
  readonly port: number
  stop(): Promise<void>
}

// Debian puts nats-server where only root looks, and PostgreSQL where nobody does.
const debianPostgres = '/usr/lib/postgresql'
const postgresVersions = existsSync(debianPostgres) ? readdirSync(debianPostgres).sort() : []
const postgresFolders = postgresVersions.map((version) => join(debianPostgres, version, 'bin'))
const env = {
  ...process.env,
  PATH: [process.env.PATH ?? '', '/usr/sbin', ...postgresFolders.toReversed()].join(':'),
}
const readyWithinMs = 10_000

/** What is needed to have a server, and each server's most durable settings that its version has. */
const servers: Readonly<
  Record<
    ServerName,
    {
      configure(at: { port: number; folder: string }): Promise<readonly string[]>
      /** Who it runs as, where that is not whoever runs the benchmark. */
      user?(): { readonly uid?: number; readonly gid?: number }
    }
  >
> = {
  'redis-server': {
    configure: async ({ port, folder }) => [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
      // BullMQ asks for this one, since evicted keys would be lost jobs.
      ...['--maxmemory-policy', 'noeviction', '--daemonize', 'no'],
    ],
  },
  'nats-server': {
    configure: async ({ port, folder }) => {
      const file = join(folder, 'nats.conf')
      await writeFile(file, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}" }\n`)
      return ['--config', file]
    },
  },
  postgres: {
    configure: async ({ port, folder }) => {
      const user = unprivileged()
      if (user.uid !== undefined && user.gid !== undefined) {
        await chown(folder, user.uid, user.gid)
        // The folder of the run is nobody else's, but its own is to be reached.
        await chmod(dirname(folder), 0o711)
      }
      const args = [
        '--pgdata',
        folder,
        '--username',
        'postgres',
        '--auth',
        'trust',
        '--encoding',
        'UTF8',
        '--no-sync',
      ]
      const made = spawnSync('initdb', args, { env, cwd: folder, encoding: 'utf8', ...user })
      if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
      // All that makes a commit durable is on unless it is switched off.
      const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`]
      return ['-D', folder, ...[...settings, 'max_connections=200'].flatMap((setting) => ['-c', setting])]
    },
    user: unprivileged,
  },
}

/** PostgreSQL refuses to run as root, so it runs as a user who owns nothing else that matters. */
function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2]), gid: Number(found?.[3]) }
}

/** What a server's package is asked for where its program has another name. */
const asked: Partial<Record<ServerName, string>> = { postgres: 'initdb=postgresql' }

/** Installs a server where it is missing, by the project's own script; false, said loudly, when it cannot be had. */
export function ensureServer(name: ServerName): boolean {
  if (name === 'postgres' && postgresFolders.length > 0) return true
  const script = join(import.meta.dirname, '../../scripts/debian-packages.ts')
  const { status } = spawnSync(process.execPath, [script, asked[name] ?? name], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return status === 0
}

/** The version that a server says of itself. */
export function serverVersion(name: ServerName): string {
  const { stdout } = spawnSync(name, ['--version'], { env, encoding: 'utf8' })
  return /\d+\.\d+(\.\d+)?/.exec(stdout ?? '')?.[0] ?? 'none'
}

/** Starts a server on a free port with its data in a folder of its own; resolves once it takes connections. */
export async function startServer(name: ServerName, inFolder: string): Promise<Server> {
  const folder = join(inFolder, name)
  await mkdir(folder, { recursive: true })
  const port = await freePort()
  const args = await servers[name].configure({ port, folder })
  const child = spawn(name, args, { env, stdio: 'ignore', cwd: folder, ...servers[name].user?.() })
  const ended = once(child, 'exit')
  await answers(child, port, name)
  const stop = async () => {
    // PostgreSQL waits for its clients when it is told to terminate.
    child.kill(name === 'postgres' ? 'SIGINT' : 'SIGTERM')
    await ended
  }
  return { port, stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no port is free')
  return address.port
}

async function answers(child: ChildProcess, port: number, name: string): Promise<void> {
  const untilMs = performance.now() + readyWithinMs
  while (performance.now() < untilMs && child.exitCode === null) {
    const socket = connect(port, '127.0.0.1')
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  child.kill('SIGKILL')
  throw new Error(`${name} did not start`)
}
