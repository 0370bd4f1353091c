// Prints "N passed, N failed" from a JSON report of vitest and the exit code of the command that ran it.
// A failure outside the tests, such as one of `npm run check`, counts as one failed.
import { readFileSync } from 'node:fs'

const [reportFile = '', status = '1'] = process.argv.slice(2)

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
}

function readReport(): Report {
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8')) as Report
  } catch {
    return { numPassedTests: 0, numFailedTests: 0 }
  }
}

const { numPassedTests, numFailedTests } = readReport()
const succeeded = status === '0' && numFailedTests === 0 && numPassedTests > 0
const failed = succeeded ? 0 : Math.max(1, numFailedTests)
console.log(`${numPassedTests} passed, ${failed} failed`)
process.exitCode = succeeded ? 0 : 1
