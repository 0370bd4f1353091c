/** From an event to those who want it: patterns over attributes and data, matched together. */
export { type CompiledPattern, compileFilter, compilePattern } from './compile-pattern.ts'
export { type ExplainedCondition, type ExplainedPattern, explainFilter } from './explain-pattern.ts'
export { type AddOptions, Matcher, type PatternInput } from './matcher.ts'
export type { EventInput } from './read-event.ts'
