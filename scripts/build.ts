// Builds the package: JavaScript and declarations in dist, or in the folder that is given. node scripts/build.ts [folder]
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = resolve(process.argv[2] ?? join(root, 'dist'))

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

function compile(): void {
  rmSync(out, { recursive: true, force: true })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const options = ['--project', join(root, 'tsconfig.build.json'), '--outDir', out]
  execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' })
}

/** Every built file that the manifest promises. */
function promisedFiles({ bin, exports }: Manifest): string[] {
  const targets = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  )
  const built = [...targets, ...Object.values(bin)].filter((target) => target.startsWith('./dist/'))
  return built.map((target) => join(out, target.slice('./dist/'.length)))
}

function check(manifest: Manifest): void {
  for (const file of promisedFiles(manifest)) {
    if (!existsSync(file)) throw new Error(`package.json promises ${file}, which the build did not make`)
  }
  for (const target of Object.values(manifest.bin)) {
    const command = join(out, target.slice('./dist/'.length))
    if (!readFileSync(command, 'utf8').startsWith('#!/usr/bin/env node\n')) {
      throw new Error(`${command} must begin with '#!/usr/bin/env node'`)
    }
    chmodSync(command, 0o755)
  }
}

compile()
check(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest)
