/** Turns rows into the arrays that `unnest` makes rows of again. */
export function columns(rows: readonly (readonly unknown[])[], count: number): unknown[][] {
  return Array.from({ length: count }, (_, column) => rows.map((row) => row[column]))
}

/** Numbers as the text of an array: the client would write any array one value after the other, whatever they are. */
export function arrayOf(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`
}

/** The numbers of an array, as the server writes it. */
export function arrayIn(text: unknown): number[] {
  return JSON.parse(`[${String(text).slice(1, -1)}]`) as number[]
}

const integerType = 23

/** Whole numbers as an array in the form in which servers keep them, for many: as text each would be read by itself. */
export function integersOf(numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(20 + 8 * numbers.length)
  // One dimension, without nulls, from 1 on; none where it is empty.
  bytes.writeInt32BE(numbers.length === 0 ? 0 : 1, 0)
  bytes.writeInt32BE(0, 4)
  bytes.writeInt32BE(integerType, 8)
  if (numbers.length === 0) return bytes.subarray(0, 12)
  bytes.writeInt32BE(numbers.length, 12)
  bytes.writeInt32BE(1, 16)
  let position = 20
  for (const number of numbers) {
    position = bytes.writeInt32BE(4, position)
    position = bytes.writeInt32BE(number, position)
  }
  return bytes
}
