import { writeSync } from 'node:fs'
import { isMillraceError } from '../../src/core/errors.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openNats } from '../../src/engines/nats/nats-engine.ts'
import { openPostgres } from '../../src/engines/postgres/postgres-engine.ts'
import type { Claim, LogEngine } from '../../src/log/port.ts'

/**
 * A process that copies records from the topic `in` to `out`, in steps that also move its cursors, until it is killed. Writes
 * `given PARTITION EPOCH`, `lost PARTITION EPOCH` and `refused CODE`.
 */
const [url = '', id = ''] = process.argv.slice(2)
const say = (line: string) => writeSync(1, `${line}\n`)

async function copy(engine: LogEngine, claim: Claim): Promise<void> {
  const { partition, signal } = claim
  const at = { topic: 'in', partition }
  const [stored] = await claim.get(['cursor'])
  let cursor = stored === undefined ? 0 : Number(Buffer.from(stored).toString())
  for (;;) {
    await engine.changed(new Map([[at, cursor]]), signal)
    const { records, next } = await engine.read(at, cursor, { records: 5, bytes: 1_000_000 }, signal)
    const appends = records.map(({ value, timeMs }) => ({ topic: 'out', partition, value, timeMs }))
    const puts = [{ key: 'cursor', value: Buffer.from(String(next)) }]
    await claim.commit({ puts, deletes: [], appends, needs: { in: next } })
    cursor = next
  }
}

const engine = url.startsWith('nats:')
  ? await openNats(url, { runtime: realRuntime() })
  : await openPostgres(url, { runtime: realRuntime(), leaseMs: 2000 })
await engine.join('copiers', { id }, (claim) => {
  say(`given ${claim.partition} ${claim.epoch}`)
  copy(engine, claim).catch((error: unknown) => {
    if (!isMillraceError(error)) throw error
    say(`${error.code === 'NOT_OWNER' ? 'lost' : `refused ${error.code}`} ${claim.partition} ${claim.epoch}`)
  })
})
say('joined')
