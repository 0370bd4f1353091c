import { app, start, tableChanges } from 'millrace'
import { expect, test } from 'vitest'
import { z } from 'zod'

const options = { name: 'orders', table: 'orders', from: 'now' } as const

test('a table that is followed has a type of event for each kind of change, in the topic that is named', () => {
  const { read, inserted, updated, deleted, refused, events } = tableChanges({ ...options, topic: 'tables' })
  expect(events).toEqual([read, inserted, updated, deleted, refused])
  expect(events.map(({ type }) => type)).toEqual(
    ['read', 'inserted', 'updated', 'deleted', 'refused'].map((kind) => `orders.${kind}`),
  )
  expect(new Set(events.map(({ topic }) => topic))).toEqual(new Set(['tables']))
})

test('the rows of a change are validated, each by the schema, which may be asynchronous, and only those there are', async () => {
  for (const row of [z.object({ id: z.int() }), z.object({ id: z.int() }).refine(async () => true)]) {
    const { inserted, updated, deleted } = tableChanges({ ...options, row })
    const validate = async (type: { schema: (typeof inserted)['schema'] }, data: unknown) =>
      type.schema['~standard'].validate(data)
    expect(await validate(inserted, { before: null, after: { id: 1, more: 2 } })).toEqual({
      value: { before: null, after: { id: 1 } },
    })
    expect(
      await validate(updated as unknown as typeof inserted, { before: { id: 'a' }, after: { id: 1 } }),
    ).toMatchObject({
      issues: [{ path: ['before', 'id'] }],
    })
    expect(
      await validate(deleted as unknown as typeof inserted, { before: { id: 1 }, after: { id: 1 } }),
    ).toMatchObject({
      issues: [{ path: ['after'] }],
    })
    expect(await validate(inserted, undefined)).toHaveProperty('issues')
  }
})

test('options that cannot work are TypeErrors', () => {
  const wrong = [
    { name: 'a/b' },
    { table: '' },
    { from: 'yesterday' },
    { capture: 'magic' },
    { database: 'mysql://host' },
    { topic: 'millrace.own' },
    { row: {} },
    { colour: 'red' },
  ]
  for (const each of wrong) {
    expect(() => tableChanges({ ...options, ...each } as never), JSON.stringify(each)).toThrow(TypeError)
  }
})

test('without a database, and with a log that is none, a source says that it needs its URL', async () => {
  const warnings: string[] = []
  const warn = (_fields: object, message: string) => void warnings.push(message)
  const logger = { debug() {}, info() {}, warn, error() {} }
  const running = await start(app({ name: 'shop', sources: [tableChanges(options)] }), {
    log: 'memory:',
    logger,
  })
  await expect.poll(() => warnings.join()).toContain("give 'database'")
  await running.stop()
})
