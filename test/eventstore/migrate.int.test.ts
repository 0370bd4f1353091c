/** Goal: streams go on in the log that they were moved to. Method: real engines; the command moves the log there, and back again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { start } from '../../src/app/start.ts'
import { event } from '../../src/core/event.ts'
import { stream } from '../../src/eventstore/stream.ts'
import { Workplace } from '../cli/process.ts'
import { type LogServers, sharedEngines } from '../engines/shared-logs.ts'

const Noted = event('ledger.noted', { schema: z.object({ text: z.string() }) })
const Ledger = stream('ledger', { events: [Noted] })
const ledgers = app({ name: 'ledgers', streams: [Ledger] })
const note = (text: string) => [{ type: Noted, data: { text } }]
const timeout = 120_000

describe.each(sharedEngines.filter(({ isHere }) => isHere))('streams that are moved to $name', (engine) => {
  let servers: LogServers
  let place: Workplace

  beforeAll(async () => {
    servers = await engine.start()
    place = await Workplace.make()
  }, timeout)

  afterAll(async () => {
    await place?.[Symbol.asyncDispose]()
    await servers?.remove()
  })

  test('have the versions that they had, and know the appends that were done', { timeout }, async () => {
    const logs = [`lmdb:${place.path('here')}`, servers.newLog(), `lmdb:${place.path('there')}`]
    for (const [moves, log] of logs.entries()) {
      const from = logs[moves - 1]
      if (from !== undefined) {
        const { code, stderr } = await place.run(['migrate', '--from', from, '--to', log])
        expect({ code, stderr }).toMatchObject({ code: 0 })
      }
      const running = await start(ledgers, { log })
      try {
        for (const id of ['a', 'b', 'c']) {
          expect(await running.streamVersion(Ledger, id)).toBe(2 * moves)
          const options = { id: `${id}-${moves}`, expectedVersion: 2 * moves }
          const done = await running.append(Ledger, id, [...note('one'), ...note('two')], options)
          expect(done.version).toBe(2 * moves + 2)
          if (moves > 0) {
            const before = { id: `${id}-${moves - 1}`, expectedVersion: 2 * moves - 2 }
            const again = await running.append(Ledger, id, [...note('one'), ...note('two')], before)
            expect(again.version).toBe(2 * moves)
          }
          const late = running.append(Ledger, id, note('late'), { expectedVersion: 2 * moves })
          await expect(late).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
        }
      } finally {
        await running.stop()
      }
    }
  })
})
