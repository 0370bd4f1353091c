import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { PageRun } from './page-run.ts'

const timeout = 180_000
const howTos = readdirSync('docs/commands').filter((file) => file !== 'README.md')

test('what docs/tutorial.md tells its reader to do does what it shows, and compiles', {
  timeout,
}, async () => {
  await using run = await PageRun.make()
  await run.all('docs/tutorial.md')
  expect(await run.typeErrors()).toBe('')
  expect(run.commands).toBeGreaterThan(15)
})

test.each(howTos)(
  'what docs/commands/%s tells its reader to do does what it shows',
  { timeout },
  async (file) => {
    await using run = await PageRun.make()
    await run.all(`docs/commands/${file}`)
    expect(run.commands).toBeGreaterThan(0)
  },
)
