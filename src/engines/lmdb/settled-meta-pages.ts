import { join } from 'node:path'
import { isMillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import { checkMetaPages } from './meta-pages.ts'
import { PageFile } from './page-file.ts'

/** A file that has not changed for so long, in looks and in milliseconds between them, is written by nobody. */
const settled = { looks: 5, apartMs: 20 } as const
/** After so many looks at a file that changes all the time it is its writer who answers for it. */
const mostLooks = 100

/**
 * Verifies what LMDB begins with, as {@link checkMetaPages} does, in a file that another process may be writing: what looks damaged
 * may have been read half before and half behind a commit, and counts only once the file stands still.
 */
export async function checkSettledMetaPages(folder: string, runtime: Pick<Runtime, 'sleep'>): Promise<void> {
  let last = ''
  let unchanged = 0
  for (let looks = 0; looks < mostLooks; looks += 1) {
    try {
      checkMetaPages(folder)
      return
    } catch (error) {
      if (!isMillraceError(error, 'LOG_DAMAGED')) throw error
      const now = stampOf(folder)
      unchanged = now === last ? unchanged + 1 : 0
      last = now
      if (unchanged >= settled.looks) throw error
    }
    await runtime.sleep(settled.apartMs)
  }
}

/** What changes with every commit. */
function stampOf(folder: string): string {
  const file = new PageFile(join(folder, 'data.mdb'))
  try {
    return `${file.sizeBytes} ${file.read(0, 2).toString('latin1')}`
  } finally {
    file.close()
  }
}
