import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const notSource = new Set(['node_modules', 'dist', 'coverage', '.git', '.millrace'])
const { FORCE_COLOR: _color, NODE_OPTIONS: _options, MILLRACE_LOG: _log, ...inherited } = process.env

/** The environment of commands that run on the Node.js that runs the tests. */
export const environment = {
  ...inherited,
  NO_COLOR: '1',
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
}

/** Whether npm can install; without a registry there is nothing that the tests of the package could tell. */
export const registryAnswers = await execute(
  'npm',
  ['view', 'zod', 'version', '--fetch-retries=0', '--fetch-timeout=10000'],
  { env: environment },
).then(
  () => true,
  () => false,
)
if (!registryAnswers)
  console.warn('SKIPPED: the registry of npm does not answer, so the package is not tried.')

/** The package as it would be published, in a temporary folder that is removed with it. */
export class Packed implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
  /** The paths in the tarball. */
  files: readonly string[] = []
  tarball = ''
  /** What npm said besides its result while it installed. */
  installedWith = ''

  /** Builds and packs a copy of the whole project, so that everything is there which must not get into the tarball. */
  static async make(): Promise<Packed> {
    const packed = new Packed()
    const project = join(packed.folder, 'project')
    cpSync(resolve('.'), project, {
      recursive: true,
      filter: (path) => !notSource.has(basename(path)) || path === resolve('.'),
    })
    symlinkSync(resolve('node_modules'), join(project, 'node_modules'))
    await packed.run('project', process.execPath, 'scripts/build.ts')
    const output = await packed.run('project', 'npm', 'pack', '--ignore-scripts', '--json')
    const [{ filename, files }] = JSON.parse(output) as [
      { readonly filename: string; readonly files: readonly { readonly path: string }[] },
    ]
    packed.tarball = join(project, filename)
    packed.files = files.map(({ path }) => path)
    return packed
  }

  /** The path of something in the temporary folder. */
  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts)
  }

  /** Runs a command in a folder of the temporary one; gives what it wrote, or rejects with all it wrote. */
  async run(folder: string, command: string, ...args: readonly string[]): Promise<string> {
    return (await this.#run(folder, command, args)).stdout
  }

  async #run(folder: string, command: string, args: readonly string[]) {
    try {
      return await execute(command, [...args], { cwd: this.path(folder), env: environment })
    } catch (cause) {
      const { stdout = '', stderr = '' } = cause as { readonly stdout?: string; readonly stderr?: string }
      throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`, { cause })
    }
  }

  /** Makes a folder and installs packages into it; without any, those of its manifest. */
  async install(folder: string, ...packages: readonly string[]): Promise<void> {
    if (packages.length > 0) {
      mkdirSync(this.path(folder))
      writeFileSync(this.path(folder, 'package.json'), '{ "private": true, "type": "module" }')
    }
    const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages]
    this.installedWith += (await this.#run(folder, 'npm', args)).stderr
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}
