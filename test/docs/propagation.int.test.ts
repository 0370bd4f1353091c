import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { allWays } from '../../bench/propagation/ways.ts'

const file = 'examples/propagation/program.ts'
const page = readFileSync('docs/propagation.md', 'utf8')

test('docs/propagation.md shows its program as it is run, and what it prints', {
  timeout: 180_000,
}, async () => {
  expect(page).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
  const args = ['--conditions=millrace-source', file]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const [, shown = ''] = /^```text\n(.*?)^```$/ms.exec(page) ?? []
  // Who watches is told when it can be, so its lines may stand elsewhere.
  const lines = (text: string) => text.trim().split('\n').toSorted()
  expect(lines(stdout)).toEqual(lines(shown))
})

test('docs/propagation.md has figures of every way that the benchmark measures', () => {
  for (const { name, what } of allWays) {
    expect(page).toMatch(new RegExp(`^\\| ${name} \\| ${what} (\\| [\\d.]+ (µs|ms) ){4}\\|$`, 'm'))
  }
})
