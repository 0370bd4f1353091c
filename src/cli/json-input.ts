import { readFile } from 'node:fs/promises'
import { MillraceError } from '../core/errors.ts'
import type { CommandContext } from './command.ts'
import { unreadable } from './ingest/bytes.ts'
import { parseJson } from './ingest/mapping.ts'

/** The bytes of a file, or of standard input where the file is `-`. */
export async function readInput(file: string, context: CommandContext, fix: string): Promise<Uint8Array> {
  if (file !== '-') {
    return readFile(file).catch((cause: unknown) => {
      throw unreadable(file, cause, fix)
    })
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of context.standardInput) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

/** Reads a file of JSON, or standard input where the file is `-`. */
export async function readJsonInput(file: string, context: CommandContext): Promise<unknown> {
  const bytes = await readInput(file, context, 'Give the path of a file of JSON, or - for standard input.')
  return parseJsonInput(bytes, file === '-' ? 'standard input' : file)
}

/** JSON that was given, with where it was given in its error. */
export function parseJsonInput(bytes: Uint8Array, source: string): unknown {
  try {
    return parseJson(bytes)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const where = error.where === undefined ? source : `${source}, ${error.where}`
    const fix = `Give JSON; a text is JSON in double quotes, as in --data '"text"'.`
    throw new MillraceError(error.code, error.message, { where, fix, cause: error })
  }
}
