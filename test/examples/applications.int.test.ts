import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { type App, type RunningApp, start } from 'millrace'
import { serveApp } from 'millrace/gateway'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import parcels from '../../examples/dead-letters/app.ts'
import sales, { assess, OrderPlaced } from '../../examples/rules/app.ts'
import shop from '../../examples/shop/app.ts'
import edi from '../../examples/xml/app.ts'
import type { IncomingEvent } from '../../src/core/event.ts'
import { allEngines } from '../engines/all-logs.ts'
import { recordsAt } from '../engines/records-at.ts'
import type { LogServers } from '../engines/shared-logs.ts'

/** What each example does, on whatever log it runs. The flights, which are killed on the way, have a test of their own. */
const courses: Readonly<Record<string, (log: string) => Promise<void>>> = {
  shop: orderFromStock,
  rules: becomeGold,
  xml: readOrder,
  'dead-letters': handBack,
  propagation: (log) => printAsShown('propagation', log),
  results: (log) => printAsShown('results', log),
  streams: (log) => printAsShown('streams', log),
}

/** Examples that are no application: of a simulation, of one engine, or tested apart. */
const others = ['flights', 'outbox', 'simulation', 'table-changes']

const running: RunningApp[] = []

afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
})

async function startOn(log: string, app: App): Promise<RunningApp> {
  const started = await start(app, { log })
  running.push(started)
  return started
}

async function orderFromStock(log: string): Promise<void> {
  const started = await startOn(log, shop)
  const port = await serveApp(started, { port: 0 })
  try {
    const order = await fetch(`${port.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sku: 'lamp', quantity: 3 }),
    })
    expect(order.status).toBe(202)
    await started.settled()
    const stock = await fetch(`${port.url}/stock/lamp`)
    expect(await stock.json()).toEqual({ left: 97 })
  } finally {
    await port.close()
  }
}

async function becomeGold(log: string): Promise<void> {
  const started = await startOn(log, sales)
  const seen: string[] = []
  started.watch([...sales.events.values()], ({ type, data }) => {
    const { tier, order } = data as { tier?: string; order?: string }
    seen.push(`${type} ${tier ?? order}`)
  })
  await started.rules.put(JSON.parse(readFileSync('examples/rules/rules.json', 'utf8')))
  const orders = [
    ['o-1', 'eu-1', 900],
    ['o-2', 'us-1', 200],
    ['o-3', 'us-1', 90],
    ['o-4', 'eu-1', 20_000],
    ['o-5', 'eu-1', 9_000],
  ] as const
  for (const [order, region, amount] of orders) {
    await started.publish(OrderPlaced, { customer: 'ann', order, region, amount })
  }
  await started.settled()
  expect(await started.read(assess, 'ann')).toEqual({ total: 10_190, orders: 4, tier: 'gold' })
  const told = (word: string) => seen.filter((line) => line.includes(word))
  expect(told('tier')).toEqual(['sales.tier.reached silver', 'sales.tier.reached gold'])
  expect(told('customs')).toEqual(['sales.customs.declared o-2'])
  expect(told('review')).toEqual(['sales.review.asked o-4'])
  const route = await started.route({ type: 'sales.order.placed', data: { region: 'us-1', amount: 90 } })
  expect(route.handlers).toMatchObject([
    { name: 'assess', matches: true },
    { name: 'declare', matches: false, nearly: true },
  ])
}

async function readOrder(log: string): Promise<void> {
  const started = await startOn(log, edi)
  const data = '<order id="o-1"><item sku="tea">2</item><item sku="cup">6</item></order>'
  const type = 'edi.order.received'
  await started.accept([
    { specversion: '1.0', id: '1', source: 'test', type, datacontenttype: 'text/xml', data },
  ])
  await started.settled()
  expect(await eventsOf(started, 'edi.item.ordered')).toEqual([
    { order: 'o-1', sku: 'cup', quantity: 6 },
    { order: 'o-1', sku: 'tea', quantity: 2 },
  ])
}

async function handBack(log: string): Promise<void> {
  const started = await startOn(log, parcels)
  const parcel = (id: string): IncomingEvent => {
    return {
      specversion: '1.0',
      id,
      source: 'test',
      type: 'parcels.packed',
      data: { parcel: id, carrier: 'none' },
    }
  }
  await started.accept([parcel('p-1'), parcel('p-2')])
  await started.settled()
  const { letters } = await started.deadLetters.list()
  expect(letters.map(({ error }) => error.message).sort()).toEqual([
    "no contract with 'none' for p-1",
    "no contract with 'none' for p-2",
  ])
  const [first] = letters
  await started.deadLetters.discard({ id: first?.id ?? '' }, { reason: 'lost', wait: true })
  expect((await started.deadLetters.list()).letters).toEqual(letters.slice(1))
}

async function printAsShown(name: string, log: string): Promise<void> {
  const args = ['--conditions=millrace-source', `examples/${name}/program.ts`]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, MILLRACE_LOG: log },
  })
  const [, shown = ''] = /^```text\n(.*?)^```$/ms.exec(readFileSync(`docs/${name}.md`, 'utf8')) ?? []
  // Who watches is told when it can be, and places differ with the engine's partitions.
  const lines = (text: string) => text.trim().split('\n').toSorted()
  expect(lines(stdout)).toEqual(lines(shown))
}

/** The data of all events of a type that are in the log. */
async function eventsOf({ app, engine }: RunningApp, type: string): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    for (const { value } of await recordsAt(engine, { topic: app.name, partition })) {
      const event = JSON.parse(Buffer.from(value).toString()) as { type: string; data: unknown }
      if (event.type === type) found.push(event.data)
    }
  }
  return found.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1))
}

test('every example is run on every engine', () => {
  expect([...Object.keys(courses), ...others].sort()).toEqual(readdirSync('examples').sort())
})

for (const engine of allEngines) {
  describe.runIf(engine.isHere)(`on ${engine.name}`, () => {
    let servers: LogServers

    beforeAll(async () => {
      servers = await engine.start()
    })

    afterAll(() => servers?.remove())

    test.for(Object.entries(courses))('the example %s does what it says', ([, course]) =>
      course(servers.newLog()),
    )
  })
}
