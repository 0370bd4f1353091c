import { app, event, on, start } from 'millrace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Workplace } from '../../cli/process.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const Added = event('counter.added', {
  schema: z.object({ key: z.string(), amount: z.int() }),
  key: (data) => data.key,
})

const count = on(
  Added,
  { name: 'count', from: 'start', state: { sum: z.int().default(0) } },
  async ({ data }, ctx) => ctx.state.sum.set((await ctx.state.sum.get()) + data.amount),
)

const counter = app({ name: 'counter', handlers: [count] })
const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)

describe.runIf(hasPostgres)('an application on PostgreSQL', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  it('is one application in any number of processes: what any of them is told or asked, the owner of the key does', async () => {
    const log = server.url()
    const first = await start(counter, { log, partitions: 4 })
    const second = await start(counter, { log })
    try {
      for (const running of [first, second]) {
        await Promise.all(keys.map((key) => running.publish(Added, { key, amount: 1 }, { wait: 'handled' })))
      }
      for (const running of [first, second]) {
        const sums = await Promise.all(keys.map(async (key) => (await running.read(count, key)).sum))
        expect(new Set(sums)).toEqual(new Set([2]))
      }
      await first.stop()
      await Promise.all(keys.map((key) => second.publish(Added, { key, amount: 1 }, { wait: 'handled' })))
      expect(await second.read(count, 'key-0')).toMatchObject({ sum: 3 })
    } finally {
      await Promise.all([first.stop(), second.stop()])
    }
  }, 60_000)

  it('is reached by every command by the URL of its log, and the password is not shown', async () => {
    await using place = await Workplace.make()
    const log = server.url().replace('postgres@', 'postgres:secret@')
    const args = ['--log', log]
    const published = await place.run([
      'publish',
      'a.b',
      '--data',
      '1',
      '--topic',
      't',
      '--create-topic',
      ...args,
    ])
    expect(published).toMatchObject({ code: 0, stderr: '' })
    const tail = await place.run(['tail', '--json', '--topic', 't', ...args])
    expect(tail.code).toBe(0)
    expect(tail.stdout).toContain('"type":"a.b"')
    const inspect = await place.run(['inspect', ...args])
    expect(inspect.code).toBe(0)
    expect(inspect.stdout).toContain('postgres://127.0.0.1')
    expect(inspect.stdout).not.toContain('secret')
    const doctor = await place.run(['doctor', ...args])
    expect(doctor.code).not.toBe(0)
    expect(doctor.stderr).not.toContain('secret')
  }, 60_000)
})
