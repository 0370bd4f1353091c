import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const file = 'examples/results/program.ts'
const page = readFileSync('docs/results.md', 'utf8')

test('docs/results.md shows its program as it is run, and what it prints', async () => {
  expect(page).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
  const args = ['--conditions=millrace-source', file]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(page).toContain(`\`\`\`text\n${stdout}\`\`\``)
})
