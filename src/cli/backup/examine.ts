import type { Finding, VerificationProgress } from '../../log/verification.ts'
import { verifyApart } from '../doctor/verify-apart.ts'

/** What a log in a folder holds, and what is damaged in it. */
export interface Examined {
  readonly counts: VerificationProgress
  readonly damage: readonly Finding[]
}

const mostKept = 10

/** Verifies the log in a folder, which nobody has open, and tells what it holds. */
export async function examine(
  folder: string,
  onProgress: (counts: VerificationProgress) => void,
): Promise<Examined> {
  let counts: VerificationProgress = { rows: 0, totalRows: 0, records: 0, stateValues: 0, bytes: 0 }
  const damage: Finding[] = []
  const findings = verifyApart(folder, (now) => {
    counts = now
    onProgress(now)
  })
  for await (const finding of findings) {
    if (finding.severity === 'damage' && damage.length < mostKept) damage.push(finding)
  }
  return { counts, damage }
}

/** The first of what is damaged, in words. */
export function firstOf(damage: readonly Finding[]): string {
  const [first] = damage
  return first === undefined ? 'It could not be read to its end.' : `${first.where}: ${first.problem}`
}
