import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** The application of the tests. */
export const shopFile = fileURLToPath(new URL('fixtures/shop.ts', import.meta.url))

/** What a command wrote and ended with. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** How a command is run. */
export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly environment?: Readonly<Record<string, string>>
  /** The application, where it is not {@link shopFile}. */
  readonly file?: string
}

/** A folder for one test: commands run in it, and it is removed with everything that still runs. */
export class Workplace implements AsyncDisposable {
  readonly folder: string
  readonly #children = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), 'millrace-cli-')))
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const child = this.spawn(args, options)
    const stdout = text(child.stdout)
    const stderr = text(child.stderr)
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stdout: await stdout, stderr: await stderr }
  }

  /** Starts the application on free ports; resolves once it is ready. */
  async start(args: readonly string[], options: RunOptions = {}): Promise<Started> {
    const all = ['start', options.file ?? shopFile, '--port', '0', '--platform-port', '0', '--json', ...args]
    const child = this.spawn(all, options)
    const stderr = text(child.stderr)
    const closed = once(child, 'close') as Promise<[number | null]>
    const first = await Promise.race([firstLine(child), closed.then(() => undefined)])
    if (first === undefined) throw new Error(`start has failed: ${await stderr}`)
    const { urls } = JSON.parse(first) as { readonly urls: Started['urls'] }
    return { urls, child, stderr, ended: closed.then(([code]) => code) }
  }

  spawn(args: readonly string[], { environment = {} }: RunOptions): ChildProcess {
    const { MILLRACE_LOG: _log, FORCE_COLOR: _color, ...inherited } = process.env
    const child = spawn(process.execPath, ['-C', 'millrace-source', main, ...args], {
      cwd: this.folder,
      env: { ...inherited, ...environment },
    })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** An application that runs. */
export interface Started {
  readonly urls: { readonly platform: string; readonly app: string }
  readonly child: ChildProcess
  readonly stderr: Promise<string>
  readonly ended: Promise<number | null>
}

async function text(stream: AsyncIterable<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let seen = ''
    child.stdout?.on('data', (chunk: Uint8Array) => {
      seen += Buffer.from(chunk).toString()
      if (seen.includes('\n')) resolve(seen.slice(0, seen.indexOf('\n')))
    })
  })
}
