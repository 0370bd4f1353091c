import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { expect, vi } from 'vitest'
import { type Block, blocksOf, commandsOf, edited, endOf, says } from './page.ts'

const main = resolve('src/cli/main.ts')
const { MILLRACE_LOG: _log, FORCE_COLOR: _color, ...inherited } = process.env
const environment = {
  ...inherited,
  NO_COLOR: '1',
  NODE_OPTIONS: '--conditions=millrace-source',
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
}
/** Commands that change nothing are run again until they say what the page shows. */
const looking =
  /^(npx millrace (tail|inspect|(dead-letters|rules) (list|groups|show|try)|.* --dry-run)|curl (?!.*(-X|-d))|cat )/
const serving = /npx millrace (start|dev) /
const patienceMs = 60_000
/** What commands say of themselves, asked once. */
const helps = new Map<string, Promise<string>>()

/** A process of the page that goes on while the page does. */
interface Background {
  readonly child: ChildProcess
  readonly serves: boolean
  output: string
}

/**
 * Does in a temporary folder what a page tells its reader to do, in order, and holds what happens to what the page shows.
 * `npx millrace` is the command line of the sources. Ports are free ones, shown as the usual ones.
 */
export class PageRun implements AsyncDisposable {
  #folder: string
  readonly #root: string
  readonly #ports = new Map<string, string>()
  readonly #edited = new Map<string, string>()
  #background: Background | undefined
  #follower: Background | undefined
  /** How many commands were run. */
  commands = 0

  private constructor(root: string) {
    this.#root = root
    this.#folder = root
  }

  /** A folder in which `millrace` and what its template needs are installed. */
  static async make(): Promise<PageRun> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'millrace-page-')))
    mkdirSync(join(root, 'node_modules/@types'), { recursive: true })
    symlinkSync(resolve('.'), join(root, 'node_modules/millrace'))
    for (const name of ['zod', 'typescript', '@types/node']) {
      symlinkSync(resolve('node_modules', name), join(root, 'node_modules', name))
    }
    return new PageRun(root)
  }

  /** Does all that a page says; rejects with its line where something else happens. */
  async all(path: string): Promise<void> {
    const blocks = blocksOf(path)
    for (const [index, block] of blocks.entries()) {
      const next = blocks[index + 1]
      const shown =
        next?.name === '' && /text|json/.test(next.language) && next.before.trim() === '' ? next : undefined
      if (/Stop the application/.test(block.before)) await this.#stop()
      await this.#do(block, shown?.text, `${path}:${block.line}`)
    }
  }

  /** What the compiler says of the files that the page has written, by the `tsconfig.json` among them. */
  async typeErrors(): Promise<string> {
    return await this.#run(
      'node ../node_modules/typescript/bin/tsc --skipLibCheck --customConditions millrace-source',
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
    await this.#endFollower()
    await rm(this.#root, { recursive: true, force: true })
  }

  async #do(block: Block, shown: string | undefined, where: string): Promise<void> {
    if (block.language === 'sh' || block.name === 'application') this.#save()
    if (block.language === 'sh') {
      const commands = commandsOf(block)
      if (shown !== undefined && commands.every((each) => looking.test(each) && !isFollowing(each))) {
        const outputs = () => this.#outputsOf(commands)
        return await this.#expect(outputs, shown, where)
      }
      const output = await this.#outputsOf(commands)
      if (shown === undefined) expect(output, where).not.toMatch(/^error: /m)
      const follower = this.#follower ?? (serving.test(commands.at(-1) ?? '') ? this.#background : undefined)
      if (follower !== undefined && shown !== undefined) await this.#expectIn(follower, shown, where)
      else if (shown !== undefined && !says(output, shown)) expect(output, where).toBe(shown)
    } else if (block.name === 'application') {
      const { before, text } = block
      if (this.#background === undefined) throw new Error(`${where}: no application runs${before}`)
      await this.#expectIn(this.#background, text, where)
    } else if (block.name !== '') this.#edit(block)
  }

  /** Edits a file; it is saved before something is done, so that what is edited together is saved together. */
  #edit({ name, text }: Block): void {
    const path = join(this.#folder, name)
    const isCode = name.endsWith('.ts')
    const there =
      this.#edited.get(path) ?? (isCode && existsSync(path) ? readFileSync(path, 'utf8') : undefined)
    this.#edited.set(path, isCode ? edited(there, text) : text)
  }

  #save(): void {
    for (const [path, text] of this.#edited) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    this.#edited.clear()
  }

  async #expect(outputs: () => Promise<string>, shown: string, where: string): Promise<void> {
    const patience = { timeout: patienceMs, interval: 50 }
    const wrong = async () => {
      const output = await outputs()
      if (!says(output, shown)) expect(output, where).toBe(shown)
    }
    await vi.waitFor(wrong, patience)
  }

  async #expectIn(background: Background, shown: string, where: string): Promise<void> {
    const wrong = () => {
      const output = this.#usual(background.output)

      if (endOf(output, shown) === undefined) expect(output, where).toContain(shown)
      else background.output = ''
    }
    await vi.waitFor(wrong, { timeout: patienceMs, interval: 20 })
  }

  async #outputsOf(commands: readonly string[]): Promise<string> {
    let output = ''
    for (const command of commands) output += await this.#run(command)
    return output
  }

  /** Runs a command as the shell does; gives what it wrote, errors and notes too. */
  async #run(command: string): Promise<string> {
    this.commands += 1
    const [, folder] = /^cd (\S+)$/.exec(command) ?? []
    if (folder !== undefined) this.#folder = join(this.#folder, folder)
    if (folder !== undefined || command === 'npm install') return ''
    if (serving.test(command)) {
      await this.#stop()
      this.#background = await this.#serve(command)
      return ''
    }
    await this.#endFollower()
    const child = this.#spawn(await this.#placed(command))
    const written = collect(child)
    if (isFollowing(command)) {
      this.#follower = written
      return ''
    }
    const [code] = (await once(child, 'close')) as [number | null]
    const output = this.#usual(written.output)
    if ((code === 0) === /^(error: |\{"error":)/m.test(output))
      expect({ code, output }, command).toBe('what was expected')
    return output
  }

  async #serve(command: string): Promise<Background> {
    const child = this.#spawn(this.#millrace(command.replace(serving, '$& --port 0 --platform-port 0 ')))
    const background = collect(child, true)
    const closed = once(child, 'close').then(() => 'closed')
    const ready = vi.waitUntil(() => /handlers/.test(background.output), {
      timeout: patienceMs,
      interval: 20,
    })
    if ((await Promise.race([ready, closed])) === 'closed' && !/error/.test(background.output)) {
      throw new Error(`${command} has ended:\n${background.output}`)
    }
    for (const [usual, name] of [
      ['4400', 'platform'],
      ['3000', '(?:routes|app)'],
    ] as const) {
      const [, port] = new RegExp(`${name}[": ]+http://127.0.0.1:(\\d+)`).exec(background.output) ?? []
      if (port !== undefined) this.#ports.set(usual, port)
    }
    return background
  }

  /** The command with the ports that are used here, and with where the log is. */
  async #placed(command: string): Promise<string> {
    const [subcommand, name] = /npx millrace ((?:dead-letters|rules) \w+|[\w-]+)/.exec(command) ?? []
    const routed = [...this.#ports].reduce(
      (text, [usual, port]) => text.replaceAll(`:${usual}`, `:${port}`),
      command,
    )
    if (subcommand === undefined || name === undefined) return routed
    const takes = await this.#takesUrl(name)
    if (!takes || / --(url|log|help) /.test(`${command} `)) return this.#millrace(routed)
    const log =
      this.#background?.child.exitCode === null
        ? `--url http://127.0.0.1:${this.#ports.get('4400')}`
        : '--log lmdb:.millrace'
    return this.#millrace(routed.replace(subcommand, `${subcommand} ${log}`))
  }

  async #takesUrl(name: string): Promise<boolean> {
    const known = helps.get(name) ?? this.#helpOf(name)
    helps.set(name, known)
    return (await known).includes('--url')
  }

  async #helpOf(name: string): Promise<string> {
    const child = this.#spawn(this.#millrace(`npx millrace ${name} --help`))
    const written = collect(child)
    await once(child, 'close')
    return written.output
  }

  #millrace(command: string): string {
    return command.replaceAll('npx millrace', `node ${main}`)
  }

  #spawn(command: string): ChildProcess {
    return spawn('bash', ['-c', command], {
      cwd: this.#folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Output with the usual ports and folders. */
  #usual(output: string): string {
    const text = [...this.#ports].reduce(
      (all, [usual, port]) => all.replaceAll(`:${port}`, `:${usual}`),
      output,
    )
    return text
      .replaceAll(this.#root, '/home/you')
      .replaceAll(resolve('.'), '/home/you/node_modules/millrace')
  }

  async #stop(): Promise<void> {
    await end(this.#background, 'SIGINT')
    this.#background = undefined
    this.#ports.clear()
  }

  async #endFollower(): Promise<void> {
    await end(this.#follower, 'SIGINT')
    this.#follower = undefined
  }
}

function isFollowing(command: string): boolean {
  return / (--follow|-f)( |$)/.test(command)
}

async function end(background: Background | undefined, signal: 'SIGINT'): Promise<void> {
  if (background === undefined || background.child.exitCode !== null || background.child.signalCode !== null)
    return
  const closed = once(background.child, 'close')
  background.child.kill(signal)
  await closed
}

function collect(child: ChildProcess, serves = false): Background {
  const background: Background = { child, serves, output: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      background.output += chunk
    })
  }
  return background
}
