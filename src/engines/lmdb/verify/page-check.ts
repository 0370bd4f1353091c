import { join } from 'node:path'
import type { Finding } from '../../../log/verification.ts'
import { currentMeta, isLayoutKnown } from '../meta-pages.ts'
import { type MetaPage, PageFile } from '../page-file.ts'
import { visitFree, walkTree } from '../page-tree.ts'
import { damage } from './damage.ts'

/**
 * Verifies the pages of a data file past LMDB: that each is what its tree says, that the keys are in order, and that no page
 * is used twice or is used and free. LMDB reads by all of that and verifies none of it. The file must not change meanwhile, and
 * its first two pages must have been verified.
 */
export function* checkPages(folder: string): Generator<Finding, void> {
  if (!isLayoutKnown) return
  const path = join(folder, 'data.mdb')
  const file = new PageFile(path)
  try {
    for (const problem of problemsIn(file, currentMeta(file)))
      yield damage('pages-damaged', 'data.mdb', problem)
  } finally {
    file.close()
  }
}

function* problemsIn(file: PageFile, meta: MetaPage): Generator<string, void> {
  const taken = new Uint8Array(meta.lastPage + 1)
  const take = (page: number, count: number) => {
    if (page < 2 || page + count > taken.length) return `Page ${page} is said to be free, and there is none.`
    for (let index = page; index < page + count; index += 1) {
      if (taken[index] === 1) return `Page ${index} is in two places.`
      taken[index] = 1
    }
    return undefined
  }
  yield* walkTree(file, meta, meta.main, { pages: take })
  yield* walkTree(file, meta, meta.free, { pages: take, row: (_key, value) => visitFree(value(), take) })
}
