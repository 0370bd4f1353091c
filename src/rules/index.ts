/** Rules that work together by forward chaining, with conditions in CEL; every firing is explained. */
export type { AttributeConditions } from './attribute-conditions.ts'
export type { FactChanges, FactSchemas, FactsOf, Rule } from './definitions.ts'
export type { Bindings, Evaluation, Expression, ExpressionOptions } from './expression.ts'
export { compileExpression, maxExpressionLength, maxNestedLoops } from './expression.ts'
export type { JsonValue } from './json-value.ts'
export type { Conclusion, FactHolder, Firing, RuleProblem, Ruleset, RulesetOptions } from './ruleset.ts'
export { ruleset } from './ruleset.ts'
