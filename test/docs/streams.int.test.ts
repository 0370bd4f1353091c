import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const page = readFileSync('docs/streams.md', 'utf8')
const program = 'examples/streams/program.ts'

test('docs/streams.md shows its application and its program as they are run, and what that prints', {
  timeout: 60_000,
}, async () => {
  expect(page).toContain(`\`\`\`ts app.ts\n${readFileSync('examples/streams/app.ts', 'utf8')}\`\`\``)
  expect(page).toContain(`\`\`\`ts\n${readFileSync(program, 'utf8')}\`\`\``)
  const args = ['--conditions=millrace-source', program]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(page).toContain(`\`\`\`text\n${stdout}\`\`\``)
})
