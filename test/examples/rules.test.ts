import { readFileSync } from 'node:fs'
import { start } from 'millrace'
import { afterEach, expect, test } from 'vitest'
import sales, { assess, OrderPlaced } from '../../examples/rules/app.ts'

const running = await start(sales, { log: 'memory:' })
const seen: string[] = []
running.watch([...sales.events.values()], ({ type, data }) => {
  const { tier, order } = data as { tier?: string; order?: string }
  seen.push(`${type} ${tier ?? order}`)
})

afterEach(() => running.stop())

test('orders reach who wants them, make a customer silver and gold, and what is suspicious is kept aside', async () => {
  await running.rules.put(JSON.parse(readFileSync('examples/rules/rules.json', 'utf8')))
  const orders = [
    ['o-1', 'eu-1', 900],
    ['o-2', 'us-1', 200],
    ['o-3', 'us-1', 90],
    ['o-4', 'eu-1', 20_000],
    ['o-5', 'eu-1', 9_000],
  ] as const
  for (const [order, region, amount] of orders) {
    await running.publish(OrderPlaced, { customer: 'ann', order, region, amount })
  }
  await running.settled()
  expect(await running.read(assess, 'ann')).toEqual({ total: 10_190, orders: 4, tier: 'gold' })
  const told = (word: string) => seen.filter((line) => line.includes(word))
  expect(told('tier')).toEqual(['sales.tier.reached silver', 'sales.tier.reached gold'])
  expect(told('customs')).toEqual(['sales.customs.declared o-2'])
  expect(told('review')).toEqual(['sales.review.asked o-4'])
  const route = await running.route({ type: 'sales.order.placed', data: { region: 'us-1', amount: 90 } })
  expect(route.handlers).toMatchObject([
    { name: 'assess', matches: true },
    { name: 'declare', matches: false, nearly: true },
  ])
})
