import type { Runtime } from '../core/runtime.ts'
import {
  type MemoryEngine,
  MemoryLog,
  MemoryServers,
  MemoryServersLog,
  openMemory,
  type StepScheduler,
} from '../engines/memory/index.ts'
import { JournaledEngine } from '../log/journal/journaled-engine.ts'
import type { LogServers } from '../log/journal/log-servers.ts'
import type { KeyValues } from '../log/key-values.ts'
import { MemoryStateStores } from '../log/memory-state-stores.ts'
import type { LogEngine, Offset, Place } from '../log/port.ts'
import { JournalObserver } from './journal-observer.ts'
import { SeededRandom } from './random.ts'

/**
 * What a simulation runs on: `memory`, where a commit is one step; or `journaled`, where it is a value of a journal and what
 * it appends follows, as on NATS JetStream.
 */
export type SimulatedEngineKind = 'memory' | 'journaled'

/** What one process of a simulation is given. */
export interface SimulatedProcessOptions {
  /** The process; several incarnations of it have the same machine. */
  readonly process: string
  readonly runtime: Runtime
  readonly steps: StepScheduler
  readonly fault: (step: string) => Error | undefined
}

/** One incarnation's handle on the log. */
export interface SimulatedEngine {
  readonly engine: LogEngine
  /** The process is gone, at once. */
  crash(): void
  /** Others take over, but this process goes on and does not know. */
  loseSession(): void
  /** After {@link loseSession}: the process hears of it, and takes part again. */
  regainSession(): void
}

/** The log that all processes of a simulation share. */
export interface SimulatedLog {
  /** All records. */
  readonly places: MemoryLog
  /** The state of a claim, with nothing in it whose effects are not visible. */
  stateOf(group: string, partition: number): KeyValues
  /** Names the commit by which a record came, where its records become visible one by one. */
  commitOf(at: Place, offset: Offset): string | undefined
  /** Whether a step may have changed the state of a claim. */
  commits(step: string): boolean
  /** Whether a step may have made records visible otherwise. */
  appends(step: string): boolean
  /** Whether a step is one by which a process hears of the others. */
  tells(step: string): boolean
  /** Whether a process that has lost its session may also stand still, between any two steps. */
  readonly canPause: boolean
  open(options: SimulatedProcessOptions): SimulatedEngine
}

/** Never forgets an id, however far clocks jump: a simulation tests processing, not the length of the window. */
const deduplicationWindowMs = Number.MAX_SAFE_INTEGER

/** A log in memory, on which a commit is one step. */
export class SimulatedMemoryLog implements SimulatedLog {
  readonly places = new MemoryLog()
  readonly canPause = false
  readonly #partitions: number

  constructor(partitions: number) {
    this.#partitions = partitions
    this.places.open(partitions)
  }

  stateOf(group: string, partition: number): KeyValues {
    return this.places.group(group).state(partition).values
  }

  commitOf(): undefined {}

  commits(step: string): boolean {
    return step === 'commit:apply'
  }

  appends(step: string): boolean {
    return step === 'append:apply'
  }

  tells(step: string): boolean {
    return step === 'claim:lose'
  }

  open({ runtime, steps, fault }: SimulatedProcessOptions): SimulatedEngine {
    const engine: MemoryEngine = openMemory({
      ...{ log: this.places, partitions: this.#partitions, deduplicationWindowMs },
      ...{ runtime, steps, fault },
    })
    return {
      engine,
      crash: () => engine.crash(),
      loseSession: () => engine.loseSession(),
      regainSession: () => engine.regainSession(),
    }
  }
}

/** Changes what the servers do for a process; for a test of the simulation itself. */
export type BreakServers = (servers: MemoryServers, log: MemoryServersLog) => LogServers

/** Long enough that heartbeats leave room for other steps, short enough that what is gone is found gone. */
const membership = { heartbeatMs: 10_000, leaseHeartbeats: 3 } as const

/** A log in memory with a journal for every claim: the protocol of the journal, searched step by step. */
export class SimulatedJournaledLog implements SimulatedLog {
  readonly canPause = true
  readonly #log = new MemoryServersLog()
  readonly #observer = new JournalObserver(this.#log)
  readonly #partitions: number
  readonly #random: SeededRandom
  readonly #journalBytes: number
  readonly #maxJournalBytes: number
  readonly #break: BreakServers
  /** What each process keeps of states on its machine. */
  readonly #stores = new Map<string, MemoryStateStores>()

  constructor(partitions: number, seed: number, breakServers: BreakServers = (servers) => servers) {
    this.#partitions = partitions
    this.#random = new SeededRandom(seed, 'journal')
    // Some seeds never get to a checkpoint, and some never have a commit in more than one piece.
    this.#journalBytes = this.#random.pick([2_000, 10_000, 50_000, 1_000_000])
    this.#maxJournalBytes = this.#random.pick([400, 2_000, 1_000_000])
    this.#break = breakServers
    this.places.open(partitions)
  }

  get places(): MemoryLog {
    return this.#log.places
  }

  stateOf(group: string, partition: number): KeyValues {
    return this.#observer.valuesOf({ group, partition })
  }

  commitOf(at: Place, offset: Offset): string | undefined {
    return this.#log.commitOf(at, offset)
  }

  commits(step: string): boolean {
    return step === 'journal:apply' || step === 'forward:apply'
  }

  appends(step: string): boolean {
    return step === 'append:apply'
  }

  tells(step: string): boolean {
    return step.startsWith('watch:')
  }

  open({ process, runtime, steps, fault }: SimulatedProcessOptions): SimulatedEngine {
    const servers = new MemoryServers({
      ...{ log: this.#log, partitions: this.#partitions, deduplicationWindowMs },
      ...{ runtime, steps, fault },
      limits: { maxJournalBytes: this.#maxJournalBytes, maxEntryBytes: 1_000_000 },
    })
    const engine = new JournaledEngine({
      servers: this.#break(servers, this.#log),
      stores: this.#storesOf(process),
      runtime,
      journalBytes: this.#journalBytes,
      ...membership,
    })
    return {
      engine,
      crash: () => servers.crash(),
      loseSession: () => servers.loseSession(),
      regainSession: () => servers.regainSession(),
    }
  }

  /** What is on the machine of a process; every other time it is a new machine. */
  #storesOf(process: string): MemoryStateStores {
    const kept = this.#stores.get(process)
    if (kept !== undefined && this.#random.chance(0.5)) return kept
    const stores = new MemoryStateStores()
    this.#stores.set(process, stores)
    return stores
  }
}
