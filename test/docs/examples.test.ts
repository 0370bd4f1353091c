import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const shown = [
  ['README.md', 'examples/shop/app.ts'],
  ['docs/commands/dead-letters.md', 'examples/dead-letters/app.ts'],
  ['docs/simulation.md', 'examples/shop/simulate.ts'],
  ['docs/simulation.md', 'examples/simulation/stock.ts'],
] as const

test.each(shown)('%s shows %s as it is run', (page, file) => {
  const snippets = [...readFileSync(page, 'utf8').matchAll(/^```ts(?: app\.ts)?\n(.*?)^```$/gms)]
  expect(snippets.map(([, snippet]) => snippet)).toContain(readFileSync(file, 'utf8'))
})
