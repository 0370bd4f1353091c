// Goal: the shop of the README keeps its promises under every fault. Method: a simulation for each of some seeds.
import { expect, test } from 'vitest'
import { simulateShop } from '../../examples/shop/simulate.ts'

test('the shop holds under crashes, failing handlers and repeated publishing', async () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const { history } = await simulateShop(seed)
    expect(history.acknowledged.length).toBeGreaterThan(20)
  }
})
