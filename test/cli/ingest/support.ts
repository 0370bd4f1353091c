import { engineAccess } from '../../../src/cli/access/engine-access.ts'
import type { LogAccess, ShownRecord } from '../../../src/cli/access/port.ts'
import { type IngestCounts, type IngestOptions, ingest } from '../../../src/cli/ingest/ingest.ts'
import { splitItems } from '../../../src/cli/ingest/lines.ts'
import { mergePlaces } from '../../../src/cli/reading.ts'
import type { MillraceError } from '../../../src/core/errors.ts'
import { openMemory } from '../../../src/engines/memory/index.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

/** What a run gave. */
export interface Ran {
  readonly counts: IngestCounts | undefined
  readonly skipped: readonly MillraceError[]
  readonly error: unknown
}

/**
 * A log that forgets ids at once, so that nothing but the events of progress can keep a second run from adding what is
 * there already.
 */
export function forgetfulLog(): { readonly access: LogAccess; readonly runtime: ManualRuntime } {
  const runtime = new ManualRuntime()
  const engine = openMemory({ runtime, partitions: 2, appendDeduplicates: false })
  const access = engineAccess({ engine, runtime, location: 'memory:', app: undefined, createTopic: true })
  return { access, runtime }
}

/** Ingests text into the topic `t`, in batches of a few lines. */
export async function run(
  text: string,
  { access, runtime }: { readonly access: LogAccess; readonly runtime: ManualRuntime },
  options: Partial<IngestOptions> = {},
): Promise<Ran> {
  const skipped: MillraceError[] = []
  try {
    const counts = await ingest(splitItems(chunks(Buffer.from(text), [7]), 1000), {
      access,
      runtime,
      mapping: { type: 'test.happened', topic: 't', keyField: 'key' },
      onError: 'skip',
      maxLineBytes: 1000,
      batchBounds: { lines: 4, bytes: 1_000_000 },
      onSkipped: (error) => skipped.push(error),
      onProgress: () => {},
      ...options,
    })
    return { counts, skipped, error: undefined }
  } catch (error) {
    return { counts: undefined, skipped, error }
  }
}

/** Bytes in chunks of the given sizes, which repeat. */
export async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
    const end = start + (sizes[turn % sizes.length] ?? 1)
    yield bytes.slice(start, end)
    start = end
  }
}

/** The records of the topic `t`, partition by partition, each in its order. */
export async function records(access: LogAccess): Promise<readonly ShownRecord[]> {
  const topic = (await access.topics()).find(({ name }) => name === 't')
  const found: ShownRecord[] = []
  for (const place of topic?.partitions ?? []) {
    for await (const record of mergePlaces({ access, places: [{ ...place, topic: 't' }] }, 'start')) {
      found.push(record)
    }
  }
  return found
}

/** The member `n` of the data of every record, in order of its number. */
export async function numbers(access: LogAccess): Promise<readonly number[]> {
  const all = await records(access)
  return all.map(({ event }) => (event.data as { readonly n: number }).n).sort((a, b) => a - b)
}
