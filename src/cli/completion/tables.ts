import type { CompletedCommand, Values } from './command-line.ts'

/** A pattern of the walk over the words, or of the place that it has come to, with what belongs to it. */
export interface Row<What> {
  readonly at: string
  readonly what: What
}

/**
 * What a script needs, whatever the shell: it walks over the words before the cursor, and so knows the command, the option
 * whose value is being typed, and how many arguments came before.
 */
export interface Tables {
  /** `PATH WORD` of every command: the walk goes on from there. */
  readonly paths: readonly string[]
  /** `PATH --OPTION` of the options that a value follows, with what it is. */
  readonly values: readonly Row<Values>[]
  /** `PATH/PLACE` of arguments, the first at 0; `*` where all that follow are alike. */
  readonly places: readonly Row<Values>[]
  readonly commands: readonly CompletedCommand[]
}

/** The tables of a command line. */
export function tablesOf(commands: readonly CompletedCommand[]): Tables {
  return {
    paths: commands.map(({ path }) => path).filter((path) => path !== ''),
    values: commands.flatMap(({ path, options }) =>
      options.flatMap(({ word, value }) =>
        value === undefined ? [] : [{ at: `${path} ${word}`, what: value }],
      ),
    ),
    places: commands.flatMap(({ path, places }) =>
      places.map(({ values, repeats }, index) => ({ at: `${path}/${repeats ? '*' : index}`, what: values })),
    ),
    commands,
  }
}

/** Groups rows that have the same thing, so that a script has one branch for each. */
export function grouped(rows: readonly Row<Values>[]): readonly (readonly [Values, readonly string[]])[] {
  const groups = new Map<string, readonly [Values, string[]]>()
  for (const { at, what } of rows) {
    const known = groups.get(String(what)) ?? ([what, []] as const)
    known[1].push(at)
    groups.set(String(what), known)
  }
  return [...groups.values()]
}

/** A word as every one of the shells takes it literally. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
