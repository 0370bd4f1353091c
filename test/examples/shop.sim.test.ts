// Goal: the shop of the README keeps its promises under every fault. Method: a simulation for each of some seeds.
import { expect, test } from 'vitest'
import { simulateShop } from '../../examples/shop/simulate.ts'

test('the shop holds under crashes, failing handlers and repeated publishing', async () => {
  await expect(simulateShop(10)).resolves.toBeUndefined()
})
