export { type EngineUnderTest, type LogUnderTest, type TestFunctions, testEngine } from './engine-contract.ts'
export { ManualRuntime, type ManualRuntimeOptions } from './manual-runtime.ts'
