import type { Runtime } from '../../core/runtime.ts'
import type { LogExport, LogImport } from '../../log/moving.ts'
import type { Capabilities, EngineOptions, LogEngine } from '../../log/port.ts'

/** The functions of a test framework that the suite needs; those of vitest, `node:test` and mocha fit. */
export interface TestFunctions {
  describe(name: string, define: () => void): unknown
  it(name: string, run: () => Promise<void>): unknown
}

/** A log that a test works on and nothing else does. */
export interface LogUnderTest {
  /**
   * Opens an engine on the log, with these options over those of the log's creation. It is called again after the
   * earlier engine was closed and, where `severalProcesses`, also while earlier ones are open.
   */
  open(options: EngineOptions): Promise<LogEngine>
  /** Where logs can be moved into other engines and from them: opens this one so; see the contract of `LogExport`. */
  readonly moving?: {
    openExport(): Promise<LogExport>
    openImport(): Promise<LogImport>
  }
  /** Removes what the log has left behind; called once, when every engine is closed. */
  remove(): Promise<void>
}

/** An engine as {@link testEngine} takes it. */
export interface EngineUnderTest {
  /** What the tests are listed under. */
  readonly name: string
  readonly test: TestFunctions
  /** What the engine declares. Rules that depend on a capability are tested for the answer that is given here. */
  readonly capabilities: Capabilities
  /** Whether several engines may be open on one log at once, as the processes of an application are. */
  readonly severalProcesses: boolean
  /** Whether its logs can be moved; then `createLog` gives `moving`. */
  readonly canBeMoved?: boolean
  /**
   * Where an engine can be taken for gone while it goes on, as by a partition of the network: makes the others take over
   * what it owns, without its knowing. Needs `severalProcesses`.
   */
  readonly loseSession?: (engine: LogEngine) => Promise<void>
  /** Makes a new, empty log. The engine takes time and chance from `runtime` only. */
  createLog(options: EngineOptions & { readonly runtime: Runtime }): Promise<LogUnderTest>
}
