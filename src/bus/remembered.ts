import type { Offset } from '../log/port.ts'
import type { PartitionState } from './partition-state.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'

/** The keys of what `once` has remembered for a record. */
export async function rememberedKeys(
  state: PartitionState,
  { handler, topic, offset }: { readonly handler: string; readonly topic: string; readonly offset: Offset },
): Promise<string[]> {
  if (!state.mayRemember) return []
  const prefix = stateLayout.onceOf(handler, topic, offset)
  const found = await state.range(prefix, endOfPrefix(prefix), 1_000)
  return found.map(({ key }) => key)
}
