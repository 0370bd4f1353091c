import type { CursorDocument } from './cursor-tracker.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { PartitionState } from './partition-state.ts'
import { endOfPrefix } from './state-layout.ts'

/** How many keys are moved in one commit. */
const keysPerStep = 1_000

/**
 * The families of keys that name a handler behind their first slash, in the order in which they are moved: the subscription
 * comes last, so that a move that a crash has cut short goes on where it was.
 */
const families = ['state', 'once', 'dead-letter', 'parked', 'subscription'] as const

/** The names that handlers have in a partition as it is: the former ones of those that are to be renamed. */
export async function namesBefore(
  handlers: readonly HandlerDefinition[],
  state: PartitionState,
): Promise<ReadonlyMap<HandlerDefinition, string>> {
  const names = new Map<HandlerDefinition, string>()
  for (const definition of handlers) {
    const { name, options } = definition
    const isKnown = options.renamedFrom === undefined || (await isAtWork(state, name))
    names.set(definition, isKnown ? name : (options.renamedFrom ?? name))
  }
  return names
}

/**
 * Moves what handlers kept in a partition under the names they had before. Nothing is moved for a handler that is known by
 * its present name already.
 */
export async function moveRenamed(
  handlers: readonly HandlerDefinition[],
  state: PartitionState,
): Promise<void> {
  for (const [{ name }, before] of await namesBefore(handlers, state)) {
    if (before === name) continue
    for (const family of families) await moveKeys(state, `${family}/${before}/`, `${family}/${name}/`)
  }
}

async function moveKeys(state: PartitionState, from: string, to: string): Promise<void> {
  for (;;) {
    const found = await state.range(from, endOfPrefix(from), keysPerStep)
    if (found.length === 0) return
    state.stage({
      puts: found.map(({ key, text }) => [`${to}${key.slice(from.length)}`, text]),
      deletes: found.map(({ key }) => key),
    })
    await state.flush()
  }
}

/** Whether a handler has a place that it has not left. */
async function isAtWork(state: PartitionState, handler: string): Promise<boolean> {
  const prefix = `subscription/${handler}/`
  const places = await state.range(prefix, endOfPrefix(prefix), 10_000)
  return places.some(({ text }) => (JSON.parse(text) as CursorDocument).gone !== true)
}
