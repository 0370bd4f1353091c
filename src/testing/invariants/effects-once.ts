import { type History, type Invariant, witnessesOf } from '../history.ts'
import { witnessTopic } from '../witness.ts'

/** What completed attempts emitted, and what rules did, is in the log, each exactly once. */
export const effectsOnce: Invariant = (history) => {
  const breaches: string[] = []
  const seen = new Set<string>()
  for (const phase of ['begun', 'done'] as const) {
    for (const { nonce, handler, id } of witnessesOf(history, phase)) {
      const name = `${nonce} ${phase}`
      if (seen.has(name)) breaches.push(`${nonce} of '${handler}' on '${id}' has its '${phase}' effect twice`)
      seen.add(name)
    }
  }
  const expected = expectedEmits(history)
  const found = foundEmits(history, causesOf(history))
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    const { least, most } = expected.get(name) ?? { least: 0, most: 0 }
    const count = found.get(name) ?? 0
    if (count < least) breaches.push(`${name}: completed attempts emitted ${least}, the log has ${count}`)
    if (count > most) breaches.push(`${name}: completed attempts emitted ${most}, the log has ${count}`)
  }
  return breaches
}

/** How many events of each type the completed attempts on each event emitted; what is not due yet may be missing. */
function expectedEmits(history: History): Map<string, { least: number; most: number }> {
  const expected = new Map<string, { least: number; most: number }>()
  const done = new Set(witnessesOf(history, 'done').map(({ nonce }) => nonce))
  for (const attempt of history.attempts) {
    if (!done.has(attempt.nonce)) continue
    for (const { type, dueMs } of attempt.emits) {
      const name = `'${type}' caused by '${attempt.id}'`
      const counts = expected.get(name) ?? { least: 0, most: 0 }
      counts.most += 1
      if (dueMs === undefined || dueMs <= history.endedMs) counts.least += 1
      expected.set(name, counts)
    }
  }
  for (const [{ event }, { emits }] of history.ruled ?? []) {
    for (const type of emits) {
      const name = `'${type}' caused by '${event.id}'`
      const { least, most } = expected.get(name) ?? { least: 0, most: 0 }
      expected.set(name, { least: least + 1, most: most + 1 })
    }
  }
  return expected
}

function causesOf({ attempts, ruled }: History): ReadonlySet<string> {
  return new Set([...attempts.map(({ id }) => id), ...[...(ruled ?? [])].map(([{ event }]) => event.id)])
}

function foundEmits(history: History, causes: ReadonlySet<string>): Map<string, number> {
  const found = new Map<string, number>()
  for (const { topic, event } of history.log) {
    if (topic === witnessTopic || topic.startsWith('millrace.')) continue
    if (event.causationid === undefined || !causes.has(event.causationid)) continue
    const name = `'${event.type}' caused by '${event.causationid}'`
    found.set(name, (found.get(name) ?? 0) + 1)
  }
  return found
}
