// Goal: docs/simulation.md shows how a simulation finds a mistake in a handler. Method: both handlers of its page are simulated.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { countingInMemory, countingInState, simulateStock } from '../../examples/simulation/stock.ts'

test('a handler that counts in memory is found by the first seed, with the message that the page shows', async () => {
  const message = await simulateStock(countingInMemory, 1).then(
    () => '',
    (error: Error) => error.message,
  )
  const page = readFileSync('docs/simulation.md', 'utf8')
  for (const line of [
    message.split('\n')[0],
    message.split('\n').find((each) => each.startsWith('Something')),
  ]) {
    expect(line).toBeTruthy()
    expect(page).toContain(line)
  }
})

test('a handler that counts in its state holds', async () => {
  for (let seed = 1; seed <= 20; seed += 1) await simulateStock(countingInState, seed)
})
