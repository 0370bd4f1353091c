import { isMillraceError } from '../../../src/core/errors.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { verifyLmdb } from '../../../src/engines/lmdb/verify/verify.ts'
import type { Claim, LogEngine, Place } from '../../../src/log/port.ts'
import type { Finding } from '../../../src/log/verification.ts'

/** What is asked of this process: to verify the log in a folder, and to open it and read everything. */
export interface Task {
  readonly folder: string
}

/** What this process answers: first what a verification found, then what reading gave. */
export type Answer =
  | { readonly findings: readonly Pick<Finding, 'kind' | 'where' | 'fix'>[] }
  | { readonly failure: Failure }
  | { readonly contents: Readonly<Record<string, string>> }

/** A refusal. */
export interface Failure {
  readonly code: string
  readonly where?: string | undefined
  readonly fix?: string | undefined
}

/** Nobody writes these copies, so nothing that looks damaged can be half of a commit, and nothing is to be waited for. */
const runtime = { ...realRuntime(), sleep: () => Promise.resolve() }
const all = { records: 1_000_000, bytes: 1_000_000_000 }

function failureOf(error: unknown): Failure {
  if (!isMillraceError(error)) return { code: String(error) }
  return { code: error.code, where: error.where, fix: error.fix }
}

/** Everything that a reader of the log sees, by its place; what cannot be read by its code. */
export async function contentsOf(engine: LogEngine, group: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {}
  for (const { name } of await engine.listTopics()) {
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      await readPlace(engine, { topic: name, partition }, contents)
    }
  }
  const claims: Claim[] = []
  await engine.join(group, { id: 'reader' }, (claim) => claims.push(claim))
  for (const claim of claims) await readState(claim, contents)
  return contents
}

async function readPlace(engine: LogEngine, at: Place, contents: Record<string, string>): Promise<void> {
  const { start, end } = await engine.bounds(at)
  const place = `${at.topic}/${at.partition}`
  contents[place] = `${start}-${end}`
  for (let offset = start; offset < end; ) {
    try {
      const { records } = await engine.read(at, offset, all)
      if (records.length === 0) return
      for (const record of records) {
        contents[`${place}@${record.offset}`] = Buffer.from(record.value).toString('base64')
        offset = record.offset + 1
      }
    } catch (error) {
      contents[`${place}@${offset}`] = failureOf(error).code
      offset += 1
    }
  }
}

async function readState(claim: Claim, contents: Record<string, string>): Promise<void> {
  const where = `${claim.group}/${claim.partition}`
  try {
    for (const { key, value } of await claim.range({ from: '', to: '\uffff', limit: 1_000_000 })) {
      contents[`${where}: ${key}`] = Buffer.from(value).toString()
    }
  } catch (error) {
    contents[where] = failureOf(error).code
  }
}

function say(answer: Answer): Promise<void> {
  return new Promise((resolve) => process.send?.(answer, () => resolve()))
}

async function work({ folder }: Task): Promise<void> {
  const findings: Finding[] = []
  for await (const finding of verifyLmdb(folder, { runtime })) findings.push(finding)
  await say({ findings: findings.map(({ kind, where, fix }) => ({ kind, where, fix })) })
  try {
    const engine = await openLmdb(folder, { runtime, unsafeNoSync: true })
    const contents = await contentsOf(engine, 'shop')
    // Closing writes too, and LMDB may end the process at that: this log's answer is due when it is over.
    await engine.close()
    await say({ contents })
  } catch (error) {
    await say({ failure: failureOf(error) })
  }
}

if (process.send !== undefined) {
  process.on('message', (task: Task) => {
    work(task).catch((error: unknown) => say({ failure: { code: String(error) } }))
  })
}
