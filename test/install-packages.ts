import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { soundNats } from './engines/nats/programs.ts'

const installer = fileURLToPath(new URL('../scripts/debian-packages.ts', import.meta.url))

/** What tests run beside ours: a command or a path that is there once it is installed, and its package. */
const packages = ['/usr/lib/postgresql=postgresql', '/usr/lib/fiu=fiu-utils', 'nats-server', 'zsh', 'fish']

/**
 * Installs what is missing, once before all tests: two files that installed at the same time would be in each other's way. Where
 * something cannot be had, the tests that need it say so and are skipped.
 */
export default function installPackages(): void {
  if (process.platform !== 'linux') return
  if (process.getuid?.() === 0) {
    spawnSync(process.execPath, [installer, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  soundNats()
}
