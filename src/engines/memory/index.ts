export { MemoryEngine, type MemoryOptions, openMemory } from './memory-engine.ts'
export { MemoryLog } from './memory-log.ts'
export { exportMemory, importMemory } from './memory-moving.ts'
export { immediateSteps, type StepScheduler } from './steps.ts'
