import { MillraceError } from '../../core/errors.ts'
import type { KeyValue } from '../port.ts'
import type { StateMark, StateStore } from '../state-store.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { checksumOf } from './checksum.ts'

const version = 1
const headerFrame = 0
const entriesFrame = 1
const endFrame = 2
/** What stands before every frame: its length and its checksum. */
const frameHeadBytes = 8

/** No key of a state is as large as this one. */
const aboveEveryKey = '\u{10ffff}'.repeat(400)
/** Frames are kept about this large, so that neither side holds more of a state at once. */
const frameBytes = { least: 256 * 1024, most: 1024 * 1024 } as const
const mostKeys = 1024

/** What is known of a checkpoint once it has been written or loaded. */
export interface CheckpointSummary {
  readonly mark: StateMark
  /**
   * The state is that of this sequence or of an earlier one, key by key: commits went on while it was read. Applying the
   * journal from the mark up to here makes it whole.
   */
  readonly settled: number
  readonly sizeBytes: number
}

/**
 * The state of a store as the bytes of a checkpoint. `mark` is where it stands when this begins. Commits may go on
 * meanwhile: what they change may or may not be in it, which the journal behind the mark makes good.
 */
export async function* writeCheckpoint(
  store: StateStore,
  mark: StateMark,
  done: (summary: CheckpointSummary) => void,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0
  const framed = (content: ByteWriter) => {
    const bytes = frame(content.end())
    sizeBytes += bytes.length
    return bytes
  }
  yield framed(new ByteWriter().u8(headerFrame).u8(version).f64(mark.sequence).u32(mark.chain))
  let limit = 64
  for (let from = ''; ; ) {
    const page = await store.range({ from, to: aboveEveryKey, limit })
    const last = page.at(-1)
    if (last === undefined) break
    const content = encodeEntries(page)
    if (content.length > frameBytes.most) limit = Math.max(1, limit >> 1)
    else if (content.length < frameBytes.least) limit = Math.min(mostKeys, limit * 2)
    yield framed(content)
    from = `${last.key}\0`
  }
  const settled = store.applied?.sequence ?? mark.sequence
  yield framed(new ByteWriter().u8(endFrame).f64(settled))
  done({ mark, settled, sizeBytes })
}

/**
 * Fills a store from the bytes of a checkpoint, in place of what was there. Where it throws, the store counts as empty.
 * `RECORD_CORRUPT` for bytes that are not a whole checkpoint.
 */
export async function loadCheckpoint(
  chunks: AsyncIterable<Uint8Array>,
  store: StateStore,
): Promise<CheckpointSummary> {
  await store.clear()
  let mark: StateMark | undefined
  let settled: number | undefined
  let sizeBytes = 0
  for await (const content of framesOf(chunks)) {
    sizeBytes += content.length + frameHeadBytes
    const reader = new ByteReader(content)
    const kind = reader.u8()
    if (kind === headerFrame) mark = decodeHeader(reader)
    else if (kind === entriesFrame) await store.apply({ puts: decodeEntries(reader), deletes: [] }, undefined)
    else settled = reader.f64()
  }
  if (mark === undefined || settled === undefined) throw corrupt('its end is missing')
  await store.apply({ puts: [], deletes: [] }, mark)
  return { mark, settled, sizeBytes }
}

function encodeEntries(page: readonly KeyValue[]): ByteWriter {
  const writer = new ByteWriter(64 * 1024).u8(entriesFrame).u32(page.length)
  for (const { key, value } of page) writer.text(key).bytes(value)
  return writer
}

function decodeEntries(reader: ByteReader): KeyValue[] {
  return Array.from({ length: reader.u32() }, () => ({ key: reader.text(), value: reader.bytes() }))
}

function decodeHeader(reader: ByteReader): StateMark {
  const found = reader.u8()
  if (found !== version) throw corrupt(`version ${found} is not known here`)
  return { sequence: reader.f64(), chain: reader.u32() }
}

function frame(content: Uint8Array): Uint8Array {
  return new ByteWriter(content.length + frameHeadBytes)
    .u32(content.length)
    .u32(checksumOf(content))
    .raw(content)
    .end()
}

/** Takes frames out of chunks that are cut anywhere. */
async function* framesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held = new Uint8Array(0)
  for await (const chunk of chunks) {
    held = held.length === 0 ? new Uint8Array(chunk) : new Uint8Array(Buffer.concat([held, chunk]))
    for (;;) {
      const content = firstFrame(held)
      if (content === undefined) break
      held = held.subarray(content.length + frameHeadBytes)
      yield content
    }
  }
  if (held.length > 0) throw corrupt('its last piece is cut off')
}

function firstFrame(held: Uint8Array): Uint8Array | undefined {
  if (held.length < frameHeadBytes) return undefined
  const reader = new ByteReader(held)
  const length = reader.u32()
  const checksum = reader.u32()
  if (reader.left < length) return undefined
  const content = reader.raw(length)
  if (checksumOf(content) !== checksum) throw corrupt('a checksum does not match')
  return content
}

function corrupt(why: string): MillraceError {
  return new MillraceError('RECORD_CORRUPT', `A checkpoint of a state cannot be read: ${why}.`, {
    fix: 'If a newer version of Millrace has written it, update this one; otherwise restore the log from a backup.',
  })
}
