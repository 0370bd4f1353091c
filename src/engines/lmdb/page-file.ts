import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * The pages of an LMDB data file, as its version 2 lays them out on 64-bit machines in little-endian order, read past LMDB:
 * it trusts what stands in them, goes on from an older state or ends the process where it should not.
 *
 * A page begins with its number (8 bytes), the transaction that wrote it (8), 2 bytes unused, its kind (2), and where its
 * nodes begin and end (2 and 2); or, for a value of several pages, how many they are (4).
 */
export class PageFile {
  readonly #file: number
  /** The bytes of the file when it was opened. */
  readonly sizeBytes: number
  pageBytes = leastPageBytes

  constructor(path: string) {
    this.#file = openSync(path, 'r')
    this.sizeBytes = fstatSync(this.#file).size
  }

  /** The whole pages that the file has. */
  get pages(): number {
    return Math.floor(this.sizeBytes / this.pageBytes)
  }

  /** Some pages that follow one another; shorter where the file ends. */
  read(page: number, count = 1): Buffer {
    const pages = Buffer.allocUnsafe(count * this.pageBytes)
    const size = readSync(this.#file, pages, 0, pages.length, page * this.pageBytes)
    return pages.subarray(0, size)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** The bytes before the content of a page. */
export const pageHeaderBytes = 24
/** The smallest size of pages that LMDB has. */
export const leastPageBytes = 4096
/** The kinds of pages. */
export const pageKinds = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const

/** A number of 8 bytes; what is larger than any that can be meant is no longer exact. */
export function wordIn(page: Buffer, position: number): number {
  return page.readUInt32LE(position + 4) * 2 ** 32 + page.readUInt32LE(position)
}

/** What a page says of itself. */
export function headerOf(page: Buffer): {
  readonly number: number
  readonly transaction: number
  readonly kind: number
} {
  return { number: wordIn(page, 0), transaction: wordIn(page, 8), kind: page.readUInt16LE(18) }
}

/** One of the two trees of a database. */
export interface TreeRoot {
  /** The page that it begins with; undefined when it is empty. */
  readonly root: number | undefined
  readonly depth: number
  readonly flags: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
}

/** What one of the first two pages says: a transaction writes the one that the last has not written. */
export interface MetaPage {
  readonly transaction: number
  readonly lastPage: number
  /** Which pages are free. */
  readonly free: TreeRoot
  readonly main: TreeRoot
}
