import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../core/errors.ts'
import {
  headerOf,
  leastPageBytes,
  type MetaPage,
  PageFile,
  pageHeaderBytes,
  pageKinds,
  type TreeRoot,
  wordIn,
} from './page-file.ts'
import { freePages } from './page-tree.ts'

const magic = 0xbeefc0de
const version = 2
const treeBytes = 48
/** Where the fields of a meta page begin, behind its header. */
const at = {
  magic: 0,
  version: 4,
  address: 8,
  free: 24,
  main: 24 + treeBytes,
  lastPage: 120,
  transaction: 128,
}
const metaBytes = 144
/** LMDB's own tree is kept by numbers, that of the log by bytes; nothing else may be set. */
const flagsOf = { free: 8, main: 0 }
const noPage = 2 ** 64
const mostPageBytes = 65_536
/** A copy that LMDB has made compact bears this transaction on its pages. */
const copied = 1

/**
 * Verifies what LMDB begins with when it opens a data file, and what it believes: a bit that has changed there can make it go
 * on from an older state, and nobody would notice that what was acknowledged last is gone. Throws `LOG_DAMAGED`; an error
 * without a code when the file is no database or cannot be read. A file that is missing or empty is fine.
 */
export function checkMetaPages(folder: string): void {
  const path = join(folder, 'data.mdb')
  const file = openIfThere(path)
  if (file === undefined) return
  try {
    if (file.sizeBytes === 0 || !isLayoutKnown) return
    const problem = problemIn(file, lastCommittedIn(folder))
    if (problem !== undefined) throw logDamaged(path, problem)
  } finally {
    file.close()
  }
}

/** The meta page that LMDB goes on from. They must have been verified. */
export function currentMeta(file: PageFile): MetaPage {
  const [one, other] = metasOf(file)
  return one.transaction > other.transaction ? one : other
}

/** Whether LMDB has the layout here that is verified. */
export const isLayoutKnown = process.arch !== 'arm' && process.arch !== 'ia32'

function openIfThere(path: string): PageFile | undefined {
  try {
    return new PageFile(path)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw error
  }
}

/** The last transaction, as LMDB's lock file has it since its commit was over; undefined where there is none. */
function lastCommittedIn(folder: string): number | undefined {
  try {
    const lock = readFileSync(join(folder, 'lock.mdb'))
    return lock.length >= 16 && lock.readUInt32LE(0) === magic ? wordIn(lock, 8) : undefined
  } catch {
    return undefined
  }
}

function problemIn(file: PageFile, lastCommitted: number | undefined): string | undefined {
  const head = file.read(0)
  if (!saysMagic(head) && !hasMagicBehind(file)) throw new Error('data.mdb is no LMDB database')
  if (head.length < pageHeaderBytes + metaBytes) return 'it is cut off within its first page'
  const pageBytes = head.readUInt32LE(pageHeaderBytes + at.free)
  const isSize =
    pageBytes >= leastPageBytes && pageBytes <= mostPageBytes && Number.isInteger(Math.log2(pageBytes))
  if (!isSize) return `its first page says that pages have ${pageBytes} bytes`
  file.pageBytes = pageBytes
  for (const page of [0, 1]) {
    const bytes = file.read(page)
    if (bytes.length < pageHeaderBytes + metaBytes) return `it is cut off within page ${page}`
    const problem = problemInMeta(bytes, page, pageBytes)
    if (problem !== undefined) return problem
  }
  return problemBetween(file, lastCommitted) ?? problemAtEnd(file)
}

function saysMagic(page: Buffer): boolean {
  return page.length >= pageHeaderBytes + 4 && page.readUInt32LE(pageHeaderBytes) === magic
}

/** The second page says it too, wherever it begins. */
function hasMagicBehind(file: PageFile): boolean {
  for (let bytes = leastPageBytes; bytes <= mostPageBytes; bytes *= 2) {
    file.pageBytes = bytes
    if (saysMagic(file.read(1))) return true
  }
  file.pageBytes = leastPageBytes
  return false
}

function problemInMeta(bytes: Buffer, page: number, pageBytes: number): string | undefined {
  const { number, kind } = headerOf(bytes)
  const content = bytes.subarray(pageHeaderBytes)
  const isMeta =
    number === page &&
    kind === pageKinds.meta &&
    content.readUInt32LE(at.magic) === magic &&
    content.readUInt32LE(at.version) === version &&
    wordIn(content, at.address) === 0 &&
    content.readUInt32LE(at.free) === pageBytes &&
    content.readUInt16LE(at.free + 4) === flagsOf.free &&
    content.readUInt16LE(at.main + 4) === flagsOf.main
  return isMeta ? undefined : `page ${page} is not what LMDB wrote there`
}

function metasOf(file: PageFile): [MetaPage, MetaPage] {
  file.pageBytes = file.read(0).readUInt32LE(pageHeaderBytes + at.free)
  const metaIn = (page: number): MetaPage => {
    const content = file.read(page).subarray(pageHeaderBytes)
    return {
      transaction: wordIn(content, at.transaction),
      lastPage: wordIn(content, at.lastPage),
      free: treeIn(content.subarray(at.free)),
      main: treeIn(content.subarray(at.main)),
    }
  }
  return [metaIn(0), metaIn(1)]
}

function treeIn(bytes: Buffer): TreeRoot {
  const root = wordIn(bytes, 40)
  return {
    flags: bytes.readUInt16LE(4),
    depth: bytes.readUInt16LE(6),
    branchPages: wordIn(bytes, 8),
    leafPages: wordIn(bytes, 16),
    overflowPages: wordIn(bytes, 24),
    entries: wordIn(bytes, 32),
    root: root >= noPage ? undefined : root,
  }
}

/** Transactions take the two pages in turn, and each writes at least the first page of the tree anew. */
function problemBetween(file: PageFile, lastCommitted: number | undefined): string | undefined {
  const [even, odd] = metasOf(file)
  if (even.transaction === 0 && odd.transaction === 0) return undefined
  const [older, newer] = even.transaction < odd.transaction ? [even, odd] : [odd, even]
  const isInTurn = newer.transaction - older.transaction === 1 && even.transaction % 2 === 0
  if (!isInTurn) {
    return `its first two pages say that transactions ${even.transaction} and ${odd.transaction} came last, which do not follow one another`
  }
  if (newer.lastPage < older.lastPage)
    return `it had ${older.lastPage + 1} pages, and now says ${newer.lastPage + 1}`
  // A commit whose last write fails leaves the older page with the new tree under the old number. That looks as if a bit of the
  // number had changed, and the newest transaction were lost, unless something else tells which one was the last.
  return (
    problemOfRoots(file, newer) ??
    (newer.transaction === lastCommitted ? undefined : problemOfRoots(file, older))
  )
}

function problemOfRoots(file: PageFile, meta: MetaPage): string | undefined {
  for (const { root, depth } of [meta.main, meta.free]) {
    if (root === undefined && depth === 0) continue
    const problem = `transaction ${meta.transaction} is said to have left its tree in page ${root ?? 'none'}, which is not so`
    if (root === undefined || depth === 0 || root > meta.lastPage) return problem
    const page = file.read(root)
    if (page.length < file.pageBytes) return `it is cut off before page ${root}, with which everything begins`
    const { number, kind } = headerOf(page)
    if (number !== root || kind !== (depth === 1 ? pageKinds.leaf : pageKinds.branch)) return problem
  }
  const root = meta.main.root
  if (root === undefined) return undefined
  const { transaction } = headerOf(file.read(root))
  if (transaction === meta.transaction || transaction === copied) return undefined
  return `transaction ${meta.transaction} is said to be the last, and its tree is that of transaction ${transaction}`
}

/** Pages at the end that are free may never have been written. */
function problemAtEnd(file: PageFile): string | undefined {
  const meta = currentMeta(file)
  const missing = meta.lastPage + 1 - file.pages
  if (missing <= 0) return undefined
  const free = freePages(file, meta)
  for (let page = file.pages; free !== undefined && page <= meta.lastPage; page += 1) {
    if (!free.has(page)) return `it has ${meta.lastPage + 1} pages, and is cut off within page ${file.pages}`
  }
  return free === undefined ? `it is cut off within page ${file.pages}` : undefined
}

function logDamaged(path: string, problem: string): MillraceError {
  return new MillraceError('LOG_DAMAGED', `The log is damaged: ${problem}.`, {
    where: path,
    fix: 'Copy the folder, then restore the log from a backup, and check the disk.',
  })
}
