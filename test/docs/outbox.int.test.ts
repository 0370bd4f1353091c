import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { databaseOf } from '../engines/postgres/outbox/order-table.ts'
import { hasPostgres, PostgresServer } from '../engines/postgres/server.ts'

const file = 'examples/outbox/program.ts'
const page = readFileSync('docs/outbox.md', 'utf8')

test('docs/outbox.md shows its program as it is run', () => {
  expect(page).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
})

describe.runIf(hasPostgres)('docs/outbox.md', () => {
  test('shows what its program prints', { timeout: 60_000 }, async () => {
    const server = await PostgresServer.start()
    try {
      const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=millrace-source', file], {
        env: { ...process.env, DATABASE_URL: databaseOf(server.url()) },
      })
      const [, shown] = /^```text\n(.*?)^```$/ms.exec(page) ?? []
      expect(stdout).toBe(shown)
    } finally {
      await server.remove()
    }
  })
})
