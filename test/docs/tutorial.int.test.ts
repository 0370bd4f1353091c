import { expect, test } from 'vitest'
import { PageRun } from './page-run.ts'

const timeout = 180_000

test('what docs/tutorial.md tells its reader to do does what it shows, and compiles', {
  timeout,
}, async () => {
  await using run = await PageRun.make()
  await run.all('docs/tutorial.md')
  expect(await run.typeErrors()).toBe('')
  expect(run.commands).toBeGreaterThan(15)
})
