import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { MillraceError, messageOf } from '../../core/errors.ts'

/** The bytes of what is ingested, and how far they have been read. */
export interface ByteSource {
  /** Decompressed when the source is gzip, whatever it is called. */
  readonly bytes: AsyncIterable<Uint8Array>
  /** The size of the source as it lies there; undefined for standard input and other pipes. */
  readonly totalBytes: number | undefined
  /** How much of it has been read. */
  readBytes(): number
}

/** Opens a file, or standard input for `-`. `FILE_UNREADABLE` when there is nothing to read or it is broken gzip. */
export async function openBytes(file: string, standardInput: Readable): Promise<ByteSource> {
  const found = file === '-' ? undefined : await statOf(file)
  const raw = file === '-' ? standardInput : createReadStream(file, { highWaterMark: 256 * 1024 })
  let readBytes = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of raw as AsyncIterable<Uint8Array>) {
      readBytes += chunk.length
      yield chunk
    }
  }
  return {
    bytes: withReadableErrors(file, decompressed(counted())),
    totalBytes: found?.isFile() ? found.size : undefined,
    readBytes: () => readBytes,
  }
}

async function statOf(file: string): Promise<Stats> {
  const found = await stat(file).catch((cause: unknown) => {
    throw unreadable(file, cause)
  })
  if (found.isDirectory()) throw unreadable(file, new Error('it is a folder'))
  return found
}

/** Unpacks gzip, which its first two bytes tell; everything else passes as it is. */
export async function* decompressed(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await iterator.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  const rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => iterator }
  async function* whole(): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head
    yield* rest
  }
  if (head[0] === 0x1f && head[1] === 0x8b) {
    const source = Readable.from(whole(), { objectMode: false })
    const gunzip = createGunzip()
    source.on('error', (error) => gunzip.destroy(error))
    yield* source.pipe(gunzip)
  } else {
    yield* whole()
  }
}

async function* withReadableErrors(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

const inputFix = "Give the path of a file of JSON lines or of one JSON array, or '-' for standard input."

/** `FILE_UNREADABLE`, with the reason in words. */
export function unreadable(file: string, cause: unknown, fix = inputFix): MillraceError {
  const code = (cause as { readonly code?: unknown } | null)?.code
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    EISDIR: 'it is a folder',
    EACCES: 'this user may not read it',
    Z_DATA_ERROR: 'its gzip data is broken',
    Z_BUF_ERROR: 'its gzip data ends too early',
  }
  const reason = reasons[String(code)] ?? messageOf(cause)
  return new MillraceError('FILE_UNREADABLE', `The file cannot be read: ${reason}.`, {
    where: file === '-' ? 'standard input' : file,
    fix,
    cause,
  })
}
