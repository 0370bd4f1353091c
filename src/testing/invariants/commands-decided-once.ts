import { isDeepStrictEqual } from 'node:util'
import { type CommandDecision, eventName, type Invariant, witnessesOf } from '../history.ts'

/**
 * Whoever is told how a command was decided is told what its handler decided in the attempt that was committed, and not
 * before. In the end every command that was acknowledged is decided, or its handler has given up.
 */
export const commandsDecidedOnce: Invariant = (history) => {
  const attempts = new Map(history.attempts.map((attempt) => [attempt.nonce, attempt]))
  const decided = new Map<string, { readonly decision: CommandDecision; readonly index: number }>()
  for (const witness of witnessesOf(history, 'done')) {
    const decision = attempts.get(witness.nonce)?.decision
    if (decision !== undefined) decided.set(eventName(witness), { decision, index: witness.index })
  }
  const letters = new Set(history.deadLetters.map(eventName))
  const breaches: string[] = []
  for (const { told, at, isFinal, ...command } of history.results ?? []) {
    const known = decided.get(eventName(command))
    const what = `'${command.id}' was told as ${JSON.stringify(told)}`
    if (told === 'unknown') breaches.push(what)
    else if (told === 'pending') {
      if (isFinal) breaches.push(`${what}, in the end`)
    } else if (told === 'given up') {
      if (!letters.has(eventName(command))) breaches.push(`${what}, and is no dead letter`)
      else if (isFinal && known !== undefined) breaches.push(`${what}, and was decided since`)
    } else if (known === undefined || known.index >= at) breaches.push(`${what} before it was decided`)
    else if (!isDeepStrictEqual(asStored(told), asStored(known.decision)))
      breaches.push(`${what}, and was decided as ${JSON.stringify(known.decision)}`)
  }
  return breaches
}

/** As JSON has it, which leaves out a result that is undefined. */
function asStored(told: unknown): unknown {
  return JSON.parse(JSON.stringify(told))
}
