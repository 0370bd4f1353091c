import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^millrace$/, replacement: source('index.ts') },
      { find: /^millrace\/xml$/, replacement: source('core/xml.ts') },
      { find: /^millrace\/([a-z]+)$/, replacement: source('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/install-packages.ts',
    globals: false,
    pool: 'forks',
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Whatever waits, waits for a condition: a bound is only there to end what hangs, on whatever machine.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 10_000,
    unstubEnvs: true,
    restoreMocks: true,
  },
})
