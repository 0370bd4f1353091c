import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-summary-'))
})

afterAll(() => rmSync(folder, { recursive: true }))

/** What is printed, and the exit code, for a report and the exit code of the tests. */
function summaryOf(report: string, exitCode: number): readonly [string, number | null] {
  const file = join(folder, 'report.json')
  writeFileSync(file, report)
  const { stdout, status } = spawnSync(
    process.execPath,
    ['scripts/test-summary.ts', file, String(exitCode)],
    {
      encoding: 'utf8',
    },
  )
  return [stdout, status]
}

const report = (numPassedTests: number, numFailedTests: number) =>
  JSON.stringify({ numPassedTests, numFailedTests })

test.each([
  ['all is well', report(12, 0), 0, '12 passed, 0 failed\n', 0],
  ['tests fail', report(10, 2), 1, '10 passed, 2 failed\n', 1],
  ['a test file cannot be loaded', report(12, 0), 1, '12 passed, 1 failed\n', 1],
  ['the check fails, and no test has run', '', 2, '0 passed, 1 failed\n', 1],
  ['no test was found', report(0, 0), 0, '0 passed, 1 failed\n', 1],
])('one line counts the tests, and a failure is never hidden: %s', (_case, text, exitCode, line, status) => {
  expect(summaryOf(text, exitCode)).toEqual([line, status])
})
