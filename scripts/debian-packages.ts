// Installs commands that tests and benchmarks run beside ours, where they are missing: node scripts/debian-packages.ts redis-server
//
// Each argument is the name of a Debian package whose command has the same name, or COMMAND=PACKAGE, or PATH=PACKAGE. Needs Debian and root.
// PACKAGE@RELEASE, as nats-server@trixie, is not installed: it is unpacked into a folder, whose name is printed, and needs no root.
// Ends with 1, having said why, when one cannot be had.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { unpackedPackage } from './debian-release.ts'

const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`

function isInstalled(command: string): boolean {
  if (command.startsWith('/')) return existsSync(command)
  return path.split(delimiter).some((folder) => existsSync(join(folder, command)))
}

function run(command: string, args: readonly string[]): boolean {
  const env = { ...process.env, PATH: path, DEBIAN_FRONTEND: 'noninteractive' }
  const { status } = spawnSync(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  return status === 0
}

const wanted = process.argv.slice(2)
const ofReleases = wanted.filter((argument) => argument.includes('@'))
const missing = wanted
  .filter((argument) => !ofReleases.includes(argument))
  .map((argument) => argument.split('='))
  .filter(([command = '']) => !isInstalled(command))
  .map(([command = '', name = command]) => name)

if (missing.length > 0) {
  console.error(`Installing Debian's packages: ${missing.join(' ')}`)
  const install = ['install', '--yes', '--quiet', '--no-install-recommends', ...missing]
  // The lists of a fresh machine are empty, and old ones name versions that are gone.
  if (!run('apt-get', install) && !(run('apt-get', ['update', '--quiet']) && run('apt-get', install))) {
    console.error(
      `These could not be installed: ${missing.join(' ')}. It takes Debian or a derivative, and root.`,
    )
    process.exitCode = 1
  }
}

for (const argument of ofReleases) {
  const [name = '', release = ''] = argument.split('@')
  const folder = unpackedPackage(name, release)
  if (folder === undefined) process.exitCode = 1
  else console.log(folder)
}
