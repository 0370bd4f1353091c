import { writeSync } from 'node:fs'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { start } from '../../src/app/start.ts'
import { isMillraceError } from '../../src/core/errors.ts'
import { event } from '../../src/core/event.ts'
import { stream } from '../../src/eventstore/stream.ts'

/**
 * A process whose writers append to a few streams, each by the version that it has read, until its input ends or it is killed.
 * Writes `begun` once it takes part; `done APPEND STREAM VERSION COUNT` and `refused APPEND STREAM` as it is told.
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
    try {
      const options = { id: append, expectedVersion, waitTimeoutMs: 5_000 }
      const { version } = await insist(() => running.append(Ledger, id, events, options))
      say(`done ${append} ${id} ${version} ${events.length}`)
    } catch (error) {
      if (!isMillraceError(error, 'VERSION_CONFLICT')) throw error
      say(`refused ${append} ${id}`)
    }
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)))
await running.stop()
