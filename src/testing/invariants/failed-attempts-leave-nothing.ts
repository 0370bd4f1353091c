import { type Invariant, witnessesOf } from '../history.ts'

/** What is in the log comes from attempts that returned, and from all of such an attempt; from a silent one comes nothing. */
export const failedAttemptsLeaveNothing: Invariant = (history) => {
  const breaches: string[] = []
  const outcomes = new Map(history.attempts.map(({ nonce, outcome }) => [nonce, outcome ?? 'did not end']))
  const begun = witnessesOf(history, 'begun')
  const done = witnessesOf(history, 'done')
  const doneNonces = new Set(done.map(({ nonce }) => nonce))
  const begunNonces = new Set(begun.map(({ nonce }) => nonce))
  for (const { nonce, handler, id } of begun) {
    if (!doneNonces.has(nonce)) {
      breaches.push(`${nonce} of '${handler}' on '${id}' ${outcomes.get(nonce)}, and left its first effect`)
    }
  }
  const silent = new Set(history.attempts.filter((attempt) => attempt.silent).map(({ nonce }) => nonce))
  for (const { nonce, handler, id } of done) {
    if (silent.has(nonce))
      breaches.push(`${nonce} of '${handler}' on '${id}' was silent, and left its effects`)
    if (!begunNonces.has(nonce)) breaches.push(`${nonce} of '${handler}' on '${id}' lost its first effect`)
    if (outcomes.get(nonce) !== 'returned') {
      breaches.push(`${nonce} of '${handler}' on '${id}' ${outcomes.get(nonce)}, and left its effects`)
    }
  }
  return breaches
}
