import { MemoryServers, MemoryServersLog, type StepScheduler } from '../../../src/engines/memory/index.ts'
import type { JournaledClaim } from '../../../src/log/journal/journaled-claim.ts'
import type { ServerLimits } from '../../../src/log/journal/log-servers.ts'
import { takeClaim } from '../../../src/log/journal/take-claim.ts'
import { Tenures } from '../../../src/log/journal/tenures.ts'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import type { Change, Entry } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { turn } from '../../../src/testing/turn.ts'

export const name = { group: 'shop', partition: 1 }
export const at = { topic: 'orders', partition: 0 }
const bytes = (text: string) => new TextEncoder().encode(text)
export const put = (key: string, text = key) => ({ key, value: bytes(text) })
export const entry = (text: string): Entry => ({ ...at, value: bytes(text), timeMs: 1 })
export const change = (parts: Partial<Change>): Change => ({ puts: [], deletes: [], appends: [], ...parts })

export interface Machine {
  readonly stores?: MemoryStateStores
  readonly journalBytes?: number
  readonly limits?: ServerLimits
  readonly fault?: (step: string) => Error | undefined
  readonly steps?: StepScheduler
}

export function world() {
  const log = new MemoryServersLog()
  log.places.open(4)
  log.places.createTopic('orders', {})
  const runtime = new ManualRuntime()
  const take = async ({ stores = new MemoryStateStores(), journalBytes, ...more }: Machine = {}) => {
    const servers = new MemoryServers({ runtime, log, ...more })
    const claim = await takeClaim(name, 'member', {
      servers,
      stores,
      tenures: new Tenures(),
      begin: (call) => call(),
      hasTopic: async (topic) => topic === 'orders',
      ended: () => {},
      spawn: (task, run) => runtime.spawn(task, run),
      journalBytes: journalBytes ?? 1_000_000,
    })
    if (claim === undefined) throw new Error('somebody else was faster')
    return claim
  }
  const records = () => {
    const { records: found } = log.places.place(at).read(0, { records: 1_000, bytes: 1_000_000 })
    return found.map(({ value }) => new TextDecoder().decode(value))
  }
  const journal = () => log.journal(name)
  return { log, take, records, journal }
}

export async function textsAt(claim: JournaledClaim, keys: readonly string[]) {
  return (await claim.get(keys)).map((value) => value && new TextDecoder().decode(value))
}

/** Fails the nth step of a name. */
export function failing(step: string, nth = 1) {
  let left = nth
  return (happening: string) => {
    if (happening !== step) return undefined
    left -= 1
    return left === 0 ? new Error('no luck') : undefined
  }
}

/** Holds every step of a name until it is let go. */
export function holding(name: string) {
  const held: (() => void)[] = []
  const step = (happening: string) =>
    happening === name ? new Promise<void>((resolve) => held.push(resolve)) : Promise.resolve()
  return {
    steps: { step },
    /** Resolves once so many wait. */
    async until(count: number) {
      while (held.length < count) await turn()
    },
    letGo() {
      for (const go of held.splice(0)) go()
    },
  }
}
