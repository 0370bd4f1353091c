import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('what init writes passes its own tests, on the test runner of Node.js', async () => {
  const { NODE_OPTIONS: _options, FORCE_COLOR: _color, ...env } = process.env
  const args = ['-C', 'millrace-source', '--test', '--test-reporter', 'tap']
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: resolve('template'), env })
  expect(stdout).toMatch(/# pass 2\n# fail 0\n/)
})
