/** Testing an application under crashes in virtual time, and engines by the contract that all of them keep. */
export { type EngineUnderTest, type LogUnderTest, type TestFunctions, testEngine } from './engine-contract.ts'
export type { FaultKind, FaultRates, Faults } from './faults.ts'
export type { History, Invariant } from './history.ts'
export { ManualRuntime, type ManualRuntimeOptions } from './manual-runtime.ts'
export type { Publication, Workload } from './publishers.ts'
export type { SeededRandom } from './random.ts'
export { type SimulateOptions, SimulationFailed, type SimulationReport, simulate } from './simulate.ts'
export type { SimulationSettings } from './simulation.ts'
