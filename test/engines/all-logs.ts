import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LogServers, sharedEngines } from './shared-logs.ts'

/** Every engine that an application may name, each with how logs of it are had here. */
export const allEngines: readonly {
  readonly name: string
  readonly isHere: boolean
  /** Whether what a process leaves behind is there for the next one. */
  readonly persistent: boolean
  start(): Promise<LogServers>
}[] = [
  {
    name: 'memory',
    isHere: true,
    persistent: false,
    start: async () => ({ newLog: () => 'memory:', remove: async () => undefined }),
  },
  {
    name: 'LMDB',
    isHere: true,
    persistent: true,
    async start() {
      const folder = await mkdtemp(join(tmpdir(), 'millrace-logs-'))
      let logs = 0
      return {
        newLog: () => `lmdb:${join(folder, String(++logs))}`,
        remove: () => rm(folder, { recursive: true, force: true }),
      }
    },
  },
  ...sharedEngines.map((engine) => ({ ...engine, persistent: true })),
]
