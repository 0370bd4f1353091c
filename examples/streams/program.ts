import { isMillraceError, start } from 'millrace'
import bank, { Account, balance, Deposited, Withdrawn } from './app.ts'

const running = await start(bank, { log: process.env.MILLRACE_LOG ?? 'memory:' })

// The first events of a stream, all or none: 'no-stream' is version 0.
const opened = [
  { type: Deposited, data: { amount: 80 } },
  { type: Withdrawn, data: { amount: 30 } },
]
const { version } = await running.append(Account, 'ann', opened, { expectedVersion: 'no-stream' })
console.log('opened at version', version)

// Two decide from the same version. Each could draw 40 of 50; together they must not.
const draw = () =>
  running.append(Account, 'ann', [{ type: Withdrawn, data: { amount: 40 } }], { expectedVersion: version })
for (const drawn of await Promise.allSettled([draw(), draw()])) {
  if (drawn.status === 'fulfilled') console.log('drawn, at version', drawn.value.version)
  else if (isMillraceError(drawn.reason, 'VERSION_CONFLICT')) console.log(drawn.reason.message)
}

// An append with an id that is sent again, because its answer was lost, is done once and has the first answer.
const salary = [{ type: Deposited, data: { amount: 500 } }]
for (const _ of ['sent', 'sent again']) {
  const paid = await running.append(Account, 'ann', salary, { id: 'salary-may', expectedVersion: 3 })
  console.log('paid', paid)
}

console.log('version', await running.streamVersion(Account, 'ann'))
await running.settled()
console.log('balance', await running.read(balance, 'ann'))

// Whatever has versions has them all: there is no other way in.
const refused = await running.publish(Deposited, { amount: 1 }).catch((error: unknown) => error)
if (isMillraceError(refused)) console.log(refused.code, refused.message)

await running.stop()
