// One side of one row in a process of its own, so that neither side has the other's heap or compiled code.

import type { Contestant, Settings } from './row.ts'
import { loadRow } from './rows.ts'

/** What the run asks of a side, and what it answers. */
export type Request =
  | { readonly ask: 'start'; readonly settings: Settings }
  | { readonly ask: 'round' }
  | { readonly ask: 'stop' }

const [name = '', which = ''] = process.argv.slice(2)
let contestant: Contestant | undefined

async function answer(request: Request): Promise<unknown> {
  if (request.ask === 'start') {
    const row = await loadRow(name)
    const side = which === 'ours' ? row.ours : row.peer
    if (!('start' in side)) throw new Error(`${name} has no such side`)
    contestant = await side.start(request.settings)
    return undefined
  }
  if (request.ask === 'round') return contestant?.round()
  await contestant?.stop()
  process.disconnect()
  return undefined
}

// Whether it was asked to stop or the run has ended without asking: nothing stays behind.
process.on('disconnect', () => process.exit())

process.on('message', (request: Request) => {
  answer(request).then(
    (value) => process.connected && process.send?.({ value }),
    (error: unknown) => {
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    },
  )
})
