import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const shown = [
  ['README.md', 'examples/shop/app.ts'],
  ['docs/dead-letters.md', 'examples/dead-letters/app.ts'],
  ['docs/simulation.md', 'examples/shop/simulate.ts'],
] as const

test.each(shown)('%s shows %s as it is run', (page, file) => {
  expect(readFileSync(page, 'utf8')).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
})
