import { isMillraceError } from '../core/errors.ts'
import type { DeadLetterSelection } from './dead-letter-list.ts'
import { comparePartitions, type FoundDeadLetter, foundOf, parseCursor } from './found-dead-letters.ts'
import type { OwnerQueries } from './owner-queries.ts'
import type { Owned, StateRow } from './queries.ts'

/** Which open dead letters are looked for, and where. */
export interface DeadLetterSearch {
  readonly queries: OwnerQueries
  /** In the order of {@link comparePartitions}. */
  readonly partitions: readonly Owned[]
  readonly selection: DeadLetterSelection
  /** The cursor that they are behind. */
  readonly after?: string | undefined
  /** How many are asked for at once. */
  readonly pageRows: number
  /** Is given the partitions that nobody answers for; they are passed over. */
  unanswered(at: Owned): void
}

/** So many partitions are asked ahead of the one that is looked at. */
const askedAhead = 16

/**
 * The dead letters that are open in some partitions, in the order of those and of their keys. Each is as it was when its
 * owner was asked.
 */
export async function* openDeadLetters(search: DeadLetterSearch): AsyncGenerator<FoundDeadLetter> {
  const { partitions, selection, after } = search
  const cursor = after === undefined ? undefined : parseCursor(after)
  const wanted = partitions.filter((at) => cursor === undefined || comparePartitions(at, cursor) >= 0)
  const first = wanted.map((at) => {
    const isAtCursor = cursor !== undefined && comparePartitions(at, cursor) === 0
    return { at, after: isAtCursor ? cursor.key : undefined }
  })
  for await (const { at, row } of rowsOf(search, first)) {
    const found = foundOf(at, row)
    if (selection.group === undefined || selection.group === found.letter.fingerprint) yield found
  }
}

interface PageStart {
  readonly at: Owned
  readonly after: string | undefined
}

async function* rowsOf(
  search: DeadLetterSearch,
  starts: readonly PageStart[],
): AsyncGenerator<{ readonly at: Owned; readonly row: StateRow }> {
  const asked: Promise<readonly StateRow[]>[] = []
  for (const [index, start] of starts.entries()) {
    while (asked.length < Math.min(starts.length, index + askedAhead)) {
      asked.push(pageOf(search, starts[asked.length] as PageStart))
    }
    try {
      let page = (await asked[index]) ?? []
      for (;;) {
        for (const row of page) yield { at: start.at, row }
        const last = page.at(-1)
        if (last === undefined || page.length < search.pageRows) break
        page = await pageOf(search, { at: start.at, after: last.key })
      }
    } catch (error) {
      if (!isMillraceError(error, 'OWNER_UNREACHABLE')) throw error
      search.unanswered(start.at)
    }
  }
}

function pageOf(search: DeadLetterSearch, { at, after }: PageStart): Promise<readonly StateRow[]> {
  const { queries, selection, pageRows: limit } = search
  const { handler } = selection
  const page = queries.ask(at, { kind: 'dead-letters', handler, after, limit })
  // One that is asked ahead may fail before it is come to, or never be come to.
  page.catch(() => {})
  return page
}
