import { writeSync } from 'node:fs'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { start } from '../../src/app/start.ts'
import { isMillraceError } from '../../src/core/errors.ts'
import { event } from '../../src/core/event.ts'
import { stream } from '../../src/eventstore/stream.ts'
import type { ToldAppend } from '../../src/testing/history.ts'
import { appendAt } from '../../src/testing/publishers.ts'

/**
 * A process whose writers append to a few streams, each by the version that it has read, until its input ends or it is killed.
 * Writes `begun` once it takes part; before each append, and with its answer, what is told of it: a `ToldAppend` in JSON.
 */
const [url = '', name = '', writers = '', streams = ''] = process.argv.slice(2)
const say = (line: string) => writeSync(1, `${line}\n`)

const Noted = event('ledger.noted', { schema: z.object({ by: z.string() }) })
const Ledger = stream('ledger', { events: [Noted] })
const running = await start(app({ name: 'ledgers', streams: [Ledger] }), { log: url })
say('begun')

let isOver = false
process.stdin.on('end', () => {
  isOver = true
})
process.stdin.resume()

/** Asks again while partitions change hands: an append keeps its id, so it is done once. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const isAway = isMillraceError(error) && (error.retryable || error.code === 'WAIT_TIMEOUT')
      if (!isAway) throw error
    }
  }
}

async function write(writer: number): Promise<void> {
  for (let count = 0; !isOver; count += 1) {
    const [append, id] = [`${name}-${writer}-${count}`, `s${(writer + count) % Number(streams)}`]
    const expectedVersion = await insist(() => running.streamVersion(Ledger, id))
    const events = Array.from({ length: 1 + (count % 3) }, () => ({ type: Noted, data: { by: append } }))
    const tell = (told: ToldAppend['told']) => {
      const all = { stream: Ledger.name, id, append, expectedVersion, count: events.length, told }
      say(JSON.stringify(all satisfies ToldAppend))
    }
    tell('nothing')
    const options = { id: append, expectedVersion, waitTimeoutMs: 5_000 }
    tell(await insist(() => appendAt(running, { stream: Ledger, id, events, options })))
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)))
await running.stop()
