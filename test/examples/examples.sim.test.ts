// Goal: every example application keeps its promises, and its own rules, under every fault. Method: a simulation for each of some seeds.
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { examples } from '../../scripts/torture/subjects.ts'

test.each(Object.keys(examples))(
  '%s holds under crashes, failing handlers and repeated publishing',
  async (name) => {
    let attempts = 0
    for (let seed = 1; seed <= 30; seed += 1)
      attempts += (await examples[name]?.(seed))?.history.attempts.length ?? 0
    expect(attempts).toBeGreaterThan(200)
  },
)

test('every example that is an application is simulated', () => {
  const applications = readdirSync('examples').filter((name) =>
    readdirSync(`examples/${name}`).includes('app.ts'),
  )
  for (const name of applications) expect(readdirSync(`examples/${name}`)).toContain('simulate.ts')
  expect(Object.keys(examples)).toHaveLength(applications.length)
})
