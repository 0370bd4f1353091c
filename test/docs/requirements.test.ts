import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const page = readFileSync('docs/requirements.md', 'utf8')
const files = [...page.matchAll(/`((?:test|scripts)\/[^`]+)`/g)].map(([, file]) => file ?? '')

test('every requirement names a test that exists', () => {
  expect(files.filter((file) => !existsSync(file))).toEqual([])
  for (const row of page.split('\n').filter((line) => /^\| [A-Z]\d+ /.test(line))) {
    expect(row).toMatch(/`(test|scripts)\/[^`]+` \|$|`(test|scripts)\/[^`]+`, `[^`]+`/)
  }
})
