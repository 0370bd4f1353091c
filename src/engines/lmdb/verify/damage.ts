import type { Finding } from '../../../log/verification.ts'
import { unseal } from '../sealed.ts'

/** What helps when something is lost that nothing else in the log says. */
export const restore = 'Restore the log from a backup, and check the disk.'

/** A finding of damage. */
export function damage(kind: string, where: string, problem: string, fix = restore): Finding {
  return { kind, severity: 'damage', where, problem, fix }
}

/** A finding of something that nothing uses. */
export function leftover(kind: string, where: string, problem: string, fix: string): Finding {
  return { kind, severity: 'leftover', where, problem, fix }
}

/** A row that does not match its checksum. */
export function rowDamaged(where: string, fix = restore): Finding {
  return damage('row-damaged', where, 'The row does not match its checksum.', fix)
}

/** A row whose checksum matches and that says what cannot be. */
export function rowInvalid(where: string, problem: string, fix = restore): Finding {
  return damage('row-invalid', where, problem, fix)
}

/** The JSON object of a row, or what is wrong with the row. */
export function objectIn(
  value: Uint8Array,
  where: string,
  fix = restore,
): { readonly row: Readonly<Record<string, unknown>> } | { readonly finding: Finding } {
  const content = unseal(value)
  if (content === undefined) return { finding: rowDamaged(where, fix) }
  try {
    const row: unknown = JSON.parse(Buffer.from(content).toString())
    if (typeof row === 'object' && row !== null) return { row: row as Record<string, unknown> }
  } catch {
    // It is no JSON: said below.
  }
  return { finding: rowInvalid(where, 'The row is not a JSON object.', fix) }
}

/** Whether a value is a whole number from `least` on. */
export function isWhole(value: unknown, least = 0): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least
}
