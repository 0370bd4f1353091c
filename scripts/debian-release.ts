import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const mirror = 'http://deb.debian.org/debian'
/** Whose signatures are trusted: those of Debian's archive, and no other. */
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const limitMs = 180_000

/**
 * The folder in which a package of any release of Debian is unpacked, such as that of `nats-server` of `trixie`: for a command that is
 * newer than the machine's own, beside which it is not installed. It is made the first time, by apt, which holds the package to the
 * signatures of Debian, and kept in the user's folder for caches. The system's sources and lists stay as they are, and it
 * takes no root. Undefined, having said why, where it cannot be had. What the package depends on is not brought along.
 */
export function unpackedPackage(name: string, release: string): string | undefined {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const parent = join(caches, 'millrace', 'debian', release)
  const unpacked = join(parent, name)
  if (existsSync(unpacked)) return unpacked
  console.error(`Fetching ${name} of Debian ${release}`)
  try {
    mkdirSync(parent, { recursive: true })
    const folder = mkdtempSync(join(parent, '.fetching-'))
    try {
      renameSync(fetchPackage(folder, name, release), unpacked)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  } catch (error) {
    // Another process may have been quicker.
    if (existsSync(unpacked)) return unpacked
    const reason = error instanceof Error ? error.message : String(error)
    console.error(`${name} of Debian ${release} could not be had: ${reason}`)
    return undefined
  }
  return unpacked
}

function fetchPackage(folder: string, name: string, release: string): string {
  if (!existsSync(keyring)) throw new Error(`there is no ${keyring}`)
  const [sources, lists, cache, unpacked] = ['debian.sources', 'lists', 'cache', 'unpacked'].map((part) =>
    join(folder, part),
  ) as [string, string, string, string]
  for (const made of [join(lists, 'partial'), join(cache, 'archives', 'partial'), unpacked]) {
    mkdirSync(made, { recursive: true })
  }
  const source = { Types: 'deb', URIs: mirror, Suites: release, Components: 'main', 'Signed-By': keyring }
  writeFileSync(
    sources,
    Object.entries(source)
      .map(([field, value]) => `${field}: ${value}\n`)
      .join(''),
  )
  const options = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '-',
    'Dir::State::Lists': lists,
    'Dir::Cache': cache,
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '10',
    // The user of the sandbox may not write into the folder; root would be told so each time.
    'APT::Sandbox::User': 'root',
    // Lists that could not be had are an error, not a warning.
    'APT::Update::Error-Mode': 'any',
  }
  const settings = Object.entries(options).flatMap(([option, value]) => ['-o', `${option}=${value}`])
  run('apt-get', ['--quiet', ...settings, 'update'], folder)
  run('apt-get', ['--quiet', ...settings, 'download', `${name}/${release}`], folder)
  const file = readdirSync(folder).find((entry) => entry.endsWith('.deb')) ?? ''
  run('dpkg-deb', ['--extract', join(folder, file), unpacked], folder)
  return unpacked
}

function run(command: string, args: readonly string[], folder: string): void {
  const options = {
    cwd: folder,
    timeout: limitMs,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  } as const
  const { status, error, stderr } = spawnSync(command, args, options)
  if (status !== 0) throw new Error(error?.message ?? `${command} said: ${stderr.trim()}`)
}
