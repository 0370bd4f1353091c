import { writeSync } from 'node:fs'
import { start } from 'millrace'
import { AccountChanged, bank, poolOn } from './order-table.ts'

/**
 * A process that changes accounts in concurrent transactions, each of which publishes its change, and moves into the log what waits
 * in the outbox, until it is killed. Some transactions are rolled back. Writes `changing` once it does.
 */
const [log = '', table = '', ...accounts] = process.argv.slice(2)
const running = await start(bank, { log })
const pool = poolOn(log, 8)
pool.on('error', () => undefined)
let made = 0

async function change(): Promise<void> {
  const client = await pool.connect()
  const account = accounts[made % accounts.length]
  const isTakenBack = made % 5 === 0
  made += 1
  await client.query('begin')
  const text = `update ${table} set nth = nth + 1 where account = $1 returning account, nth`
  const { rows } = await client.query(text, [account])
  await running.publishIn(client, AccountChanged, rows[0])
  await client.query(isTakenBack ? 'rollback' : 'commit')
  client.release()
}

writeSync(1, 'changing\n')
await Promise.all(
  Array.from({ length: 8 }, async () => {
    for (;;) await change()
  }),
)
