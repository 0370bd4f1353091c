/** Turns rows into the arrays that `unnest` makes rows of again. */
export function columns(rows: readonly (readonly unknown[])[], count: number): unknown[][] {
  return Array.from({ length: count }, (_, column) => rows.map((row) => row[column]))
}

/** Numbers as the text of an array: the client would write any array one value after the other, whatever they are. */
export function arrayOf(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`
}
