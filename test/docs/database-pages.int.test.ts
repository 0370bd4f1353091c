import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseOf } from '../engines/postgres/outbox/order-table.ts'
import { hasPostgres, PostgresServer } from '../engines/postgres/server.ts'

/** Pages that show a program which needs a database, and what it prints. */
const pages = ['outbox', 'table-changes']

test.for(pages)('docs/%s.md shows its program as it is run', (name) => {
  const program = readFileSync(`examples/${name}/program.ts`, 'utf8')
  expect(readFileSync(`docs/${name}.md`, 'utf8')).toContain(`\`\`\`ts\n${program}\`\`\``)
})

describe.runIf(hasPostgres)('on a server', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  })

  afterAll(() => server?.remove())

  test.for(pages)('docs/%s.md shows what its program prints', async (name) => {
    const args = ['--conditions=millrace-source', `examples/${name}/program.ts`]
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: { ...process.env, DATABASE_URL: databaseOf(server.url()) },
    })
    const [, shown] = /^```text\n(.*?)^```$/ms.exec(readFileSync(`docs/${name}.md`, 'utf8')) ?? []
    expect(stdout).toBe(shown)
  })
})
