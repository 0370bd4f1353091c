import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { turn } from '../../../src/testing/turn.ts'
import { freePort } from '../free-port.ts'

const installer = fileURLToPath(new URL('../../../scripts/debian-packages.ts', import.meta.url))

/** The folder of the server's programs; undefined where there is none. Debian does not put it on the path. */
function findPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

function installPrograms(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  spawnSync(process.execPath, [installer, 'initdb=postgresql'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return findPrograms()
}

const programs = findPrograms() ?? installPrograms()

/** Whether a server can be started here. Says so loudly where not. */
export const hasPostgres = programs !== undefined
if (!hasPostgres) console.error('SKIPPED: there is no PostgreSQL here, and it could not be installed.')

/** The server refuses to run as root, so it runs as a user who owns nothing else that matters. */
function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2]), gid: Number(found?.[3]) }
}

/** Where a server keeps what it has. */
export interface PostgresFolders {
  readonly folder?: string
  readonly walFolder?: string
  /** How large the files of the write-ahead log are; 16 unless given. */
  readonly walFileMegabytes?: number
}

/** Whether there is such a process. */
function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** A PostgreSQL server of a test's own, in a temporary folder, with fsync on. */
export class PostgresServer {
  readonly folder: string
  readonly port: number
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined
  #logs = 0

  private constructor(folder: string, port: number, settings: readonly string[]) {
    this.folder = folder
    this.port = port
    this.#settings = settings
  }

  /**
   * Makes and starts one; `settings` are such as `max_connections=200`. Its data is in an empty folder that is there already, and
   * its write-ahead log in another, where they are given.
   */
  static async start(
    settings: readonly string[] = [],
    {
      folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-')),
      walFolder,
      walFileMegabytes,
    }: PostgresFolders = {},
  ): Promise<PostgresServer> {
    const { uid, gid } = unprivileged()
    for (const own of walFolder === undefined ? [folder] : [folder, walFolder]) {
      if (uid !== undefined && gid !== undefined) chownSync(own, uid, gid)
      chmodSync(own, 0o700)
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
      ...(walFolder === undefined ? [] : ['--waldir', walFolder]),
      ...(walFileMegabytes === undefined ? [] : ['--wal-segsize', String(walFileMegabytes)]),
    ]
    const made = spawnSync(join(programs ?? '', 'initdb'), [...args, '--locale', 'C.UTF-8'], {
      uid,
      gid,
      cwd: folder,
    })
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
    const server = new PostgresServer(folder, await freePort(), settings)
    await server.run()
    return server
  }

  /** The URL of a log; each name is another log. */
  url(schema = this.newSchema()): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres?schema=${schema}`
  }

  newSchema(): string {
    this.#logs += 1
    return `log_${this.#logs}`
  }

  /** Starts the server again after {@link stop} or {@link kill}, on the same port. Resolves once it takes connections. */
  async run(): Promise<void> {
    const settings = [
      `port=${this.port}`,
      'listen_addresses=127.0.0.1',
      // The path of one has to be short, which nobody knows of a temporary folder.
      'unix_socket_directories=',
    ]
    const args = [...settings, 'max_connections=200', ...this.#settings].flatMap((setting) => ['-c', setting])
    const child = spawn(join(programs ?? '', 'postgres'), ['-D', this.folder, ...args], {
      ...unprivileged(),
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    const said: string[] = []
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line)
      if (!line.includes('ready to accept connections')) continue
      child.stderr.resume()
      return
    }
    throw new Error(`the server did not start: ${said.join('\n')}`)
  }

  /** Ends the server's sessions and the server. */
  stop(): Promise<void> {
    return this.#end('SIGINT')
  }

  /** Ends the server as a crash does: it recovers when it runs again. */
  crash(): Promise<void> {
    return this.#end('SIGQUIT')
  }

  /** Ends the server and its sessions as SIGKILL does, all at once. */
  async kill(): Promise<void> {
    this.pause()
    const sessions = this.#sessions()
    for (const pid of sessions) signalTo(pid, 'SIGKILL')
    await this.#end('SIGKILL')
    while (sessions.some((pid) => signalTo(pid, 0))) await turn()
  }

  /** Whether it runs, as far as is known. */
  get isRunning(): boolean {
    const { exitCode = 0, signalCode = null } = this.#process ?? {}
    return exitCode === null && signalCode === null
  }

  /** Stops the server and its sessions where they are. */
  pause(): void {
    this.#signalAll('SIGSTOP')
  }

  /** Lets them go on. */
  resume(): void {
    this.#signalAll('SIGCONT')
  }

  /** The first of them makes the others, so it stops before they are looked for. */
  #signalAll(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
    for (const pid of this.#sessions()) signalTo(pid, signal)
  }

  #sessions(): readonly number[] {
    const pid = this.#process?.pid
    if (pid === undefined) return []
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return children.split(' ').filter(Boolean).map(Number)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async remove(): Promise<void> {
    await this.crash()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
