import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { MillraceError, messageOf } from '../core/errors.ts'

/** A new application, as it was written. */
export interface NewApp {
  readonly name: string
  /** The absolute path of its folder. */
  readonly folder: string
  /** What was written there, by relative path. */
  readonly files: readonly string[]
}

/** What Millrace's own manifest says that a new application takes over. */
interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly devDependencies: Readonly<Record<string, string>>
  readonly allowScripts: Readonly<Record<string, boolean>>
}

/** From the sources and from the built command alike, this is the folder of the package. */
const packageFolder = new URL('../../', import.meta.url)

/** npm leaves a `.gitignore` out of packages, so it has another name there. */
const templateFiles = {
  'app.ts': 'app.ts',
  'app.test.ts': 'app.test.ts',
  'tsconfig.json': 'tsconfig.json',
  'README.md': 'README.md',
  '.gitignore': 'gitignore',
} as const

/**
 * Writes a new application into `folder`, which is made when it is missing. `FOLDER_UNUSABLE` when it is not empty, where
 * a `.git` does not count, and when it cannot be made or written.
 * @param millrace what `package.json` asks npm for; this version unless given
 */
export async function writeNewApp(folder: string, millrace?: string): Promise<NewApp> {
  const path = resolve(folder)
  const name = packageName(path)
  const manifest = await ownManifest()
  const contents = new Map([['package.json', manifestOf(name, manifest, millrace ?? manifest.version)]])
  for (const [file, source] of Object.entries(templateFiles)) {
    contents.set(file, await readFile(new URL(`template/${source}`, packageFolder), 'utf8'))
  }
  await makeEmpty(path)
  for (const [file, text] of contents) {
    await usable(path, () => writeFile(join(path, file), text, { flag: 'wx' }))
  }
  return { name, folder: path, files: [...contents.keys()] }
}

async function ownManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(new URL('package.json', packageFolder), 'utf8')) as Manifest
}

/** The manifest of a new application, with the versions that Millrace itself is tested with. */
function manifestOf(name: string, own: Manifest, millrace: string): string {
  const pinned = (packages: readonly string[]) =>
    Object.fromEntries(packages.map((each) => [each, own.devDependencies[each]]))
  const manifest = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: own.engines.node },
    scripts: {
      dev: 'millrace dev app.ts',
      start: 'millrace start app.ts',
      test: 'node --test',
      check: 'tsc',
    },
    dependencies: { millrace, ...pinned(['zod']) },
    devDependencies: pinned(['@types/node', 'typescript']),
    allowScripts: own.allowScripts,
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

/** What npm takes as a name, as near to the folder's as it goes; `millrace` itself would be the name of a dependency. */
function packageName(path: string): string {
  const name = basename(path)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|-+$/g, '')
    .slice(0, 214)
  return /^(|millrace|zod|typescript|node_modules|favicon\.ico)$/.test(name) ? 'millrace-app' : name
}

async function makeEmpty(path: string): Promise<void> {
  await usable(path, () => mkdir(path, { recursive: true }))
  const found = (await usable(path, () => readdir(path))).filter((entry) => entry !== '.git').sort()
  if (found.length === 0) return
  const more = found.length > 3 ? ` and ${found.length - 3} more` : ''
  throw new MillraceError(
    'FOLDER_UNUSABLE',
    `The folder is not empty: it has ${found.slice(0, 3).join(', ')}${more}.`,
    {
      where: path,
      fix: 'Name a new or an empty folder: `millrace init FOLDER`.',
    },
  )
}

async function usable<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new MillraceError('FOLDER_UNUSABLE', `The folder cannot be written: ${messageOf(cause)}.`, {
      where: path,
      fix: 'Name a folder that you may write to, or one that is not there yet.',
      cause,
    })
  }
}
