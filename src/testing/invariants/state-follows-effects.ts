import { groupBy, type Invariant, witnessesOf } from '../history.ts'

/**
 * The state of a key and the effects in the log tell the same story: every completed attempt saw the state that the one
 * before it left, and the state that is read at the end is that of the last.
 */
export const stateFollowsEffects: Invariant = (history) => {
  const breaches: string[] = []
  const ledgers = new Map(history.ledgers.map((ledger) => [`${ledger.handler}, key '${ledger.key}'`, ledger]))
  const silent = new Set(history.subscriptions.filter((each) => each.silent).map(({ handler }) => handler))
  const witnesses = witnessesOf(history, 'done').filter(({ handler }) => !silent.has(handler))
  const keys = groupBy(witnesses, ({ handler, key }) => `${handler}, key '${key}'`)
  for (const [name, witnesses] of keys) {
    let last: string | null = null
    for (const [index, witness] of witnesses.entries()) {
      if (witness.previous !== last || witness.count !== index + 1) {
        breaches.push(
          `${name}: ${witness.nonce} saw the state after ${witness.previous ?? 'nothing'} (${witness.count - 1} done), and ${last ?? 'nothing'} (${index} done) was the last`,
        )
      }
      last = witness.nonce
    }
    const ledger = ledgers.get(name)
    if (ledger !== undefined && (ledger.last !== last || ledger.count !== witnesses.length)) {
      breaches.push(`${name}: the state ends with ${ledger.last ?? 'nothing'}, the log with ${last}`)
    }
  }
  return breaches
}
