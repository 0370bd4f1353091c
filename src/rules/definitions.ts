import type { InputOf, OutputOf, Schema } from '../core/schema.ts'

/** Named facts, each with its schema. A fact without a value is missing, unless its schema has a default. */
export type FactSchemas = Readonly<Record<string, Schema>>

/** The facts of a ruleset, as its schemas give them. */
export type FactsOf<Schemas extends FactSchemas> = {
  readonly [Name in keyof Schemas]: undefined extends InputOf<Schemas[Name]>
    ? OutputOf<Schemas[Name]>
    : OutputOf<Schemas[Name]> | undefined
}

/** What facts can be set to: any of them, as their schemas take them. */
export type FactChanges<Schemas extends FactSchemas> = {
  readonly [Name in keyof Schemas]?: InputOf<Schemas[Name]> | undefined
}

/** One rule: what must hold, and what it then sets. Conditions and values are CEL over the facts' names, or functions. */
export interface Rule<Schemas extends FactSchemas> {
  /** Unique in its ruleset. */
  readonly name: string
  /** Rules of a higher priority are tried first; 0 unless given. Those of one priority keep the order they are listed in. */
  readonly priority?: number
  /** `"total > 1000.0 && tier == 'none'"`, or a function of the facts. It must depend on the facts alone. */
  readonly when: string | ((facts: FactsOf<Schemas>) => boolean)
  /** `{ tier: "'gold'" }`, or a function of the facts that gives the new values. */
  readonly set:
    | { readonly [Name in keyof Schemas]?: string }
    | ((facts: FactsOf<Schemas>) => FactChanges<Schemas>)
}
