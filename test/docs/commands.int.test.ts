import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Workplace } from '../cli/process.ts'
import { PageRun } from './page-run.ts'

const timeout = 180_000
const howTos = readdirSync('docs/commands').filter((file) => file !== 'README.md')

test.each(howTos)(
  'what docs/commands/%s tells its reader to do does what it shows',
  { timeout },
  async (file) => {
    await using run = await PageRun.make()
    await run.all(`docs/commands/${file}`)
    expect(run.commands).toBeGreaterThan(0)
  },
)

test('every command has a how-to, and the list of them has it', async () => {
  await using place = await Workplace.make()
  const { stdout } = await place.run(['--help'])
  const commands = [...stdout.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name]) => name)
  expect(commands).toContain('publish')
  const described = commands.filter((name) => name !== 'help').map((name) => `${name}.md`)
  expect(described.sort()).toEqual(howTos.sort())
  const list = readFileSync('docs/commands/README.md', 'utf8')
  for (const file of howTos) expect(list).toContain(`](${file})`)
})
