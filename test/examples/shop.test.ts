import { start } from 'millrace'
import { serveApp } from 'millrace/gateway'
import { afterEach, expect, test } from 'vitest'
import shop from '../../examples/shop/app.ts'

const running = await start(shop, { log: 'memory:' })
const port = await serveApp(running, { port: 0 })

afterEach(async () => {
  await port.close()
  await running.stop()
})

test('an order takes from the stock, as the README says', async () => {
  const order = await fetch(`${port.url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sku: 'lamp', quantity: 3 }),
  })
  expect(order.status).toBe(202)
  await running.settled()
  const stock = await fetch(`${port.url}/stock/lamp`)
  expect(await stock.json()).toEqual({ left: 97 })
})
