// Completes package-lock.json after `npm install`: node scripts/complete-lock.ts
//
// npm leaves out of the lock file every optional package that its registry did not serve, such as the binaries of other
// platforms on a partial mirror, and `npm ci` of npm 11 then refuses the lock file. Their versions are known all the
// same, because the packages that want them pin them; their platform is in their name.
import { readFileSync, writeFileSync } from 'node:fs'

interface LockedPackage {
  readonly version?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

type LockedPackages = Record<string, LockedPackage>

const systems = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
  'aix',
]
const processors = [
  'arm64',
  'arm',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
]

function main(file: string): void {
  const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: LockedPackages }
  const before = Object.keys(lock.packages).length
  for (const [path, locked] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(locked.optionalDependencies ?? {})) {
      if (!isLocked(lock.packages, path, name)) add(lock.packages, path, name, range)
    }
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
  console.log(`${sorted.length - before} packages added to ${file}`)
}

/** Whether a package that is installed at `path` finds `name`, there or in a folder above. */
function isLocked(packages: LockedPackages, path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf('node_modules')).replace(/\/$/, '')) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true
    if (!folder.includes('node_modules')) return packages[`node_modules/${name}`] !== undefined
  }
}

function add(packages: LockedPackages, path: string, name: string, range: string): void {
  packages[`node_modules/${name}`] = {
    version: range.replace(/^[~^]/, ''),
    ...platformOf(name),
    ...(packages[path]?.dev === true ? { dev: true } : {}),
    optional: true,
  } as LockedPackage
}

function platformOf(name: string): object {
  const words = name.split(/[/-]/).map((word) => (word === 'win' ? 'win32' : word))
  const cpu = words.find((word) => processors.includes(word))
  const os = name === 'fsevents' ? 'darwin' : words.find((word) => systems.includes(word))
  const libc = words.some((word) => word.startsWith('musl')) ? 'musl' : 'glibc'
  const namesLibc = os === 'linux' && words.some((word) => /^(musl|gnu)/.test(word))
  return {
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(namesLibc ? { libc: [libc] } : {}),
    ...(os === undefined ? {} : { os: [os] }),
  }
}

main('package-lock.json')
