import {
  headerOf,
  type MetaPage,
  type PageFile,
  pageHeaderBytes,
  pageKinds,
  type TreeRoot,
  wordIn,
} from './page-file.ts'

/** What a walk through a tree tells of. */
export interface TreeVisitor {
  /** Some pages that belong to the tree: one, or those that hold a long value. */
  pages?(first: number, count: number): string | undefined
  /** A row, in the order of the pages. */
  row?(key: Buffer, value: () => Buffer): string | undefined
}

/** The bounds that the pages above set for the keys of a page: from `least` up to, not including, `end`. */
interface Bounds {
  readonly least: Buffer | undefined
  readonly end: Buffer | undefined
}

const nodeHeaderBytes = 8
const longValueFlag = 1
const longValueBytes = 24
const unbounded: Bounds = { least: undefined, end: undefined }

/**
 * Walks through all pages of one tree past LMDB and gives what is wrong with them. Where a page cannot be what LMDB wrote, what
 * is below it is left out.
 */
export function* walkTree(
  file: PageFile,
  meta: MetaPage,
  tree: TreeRoot,
  visitor: TreeVisitor,
): Generator<string, void> {
  const walk = new Walk(file, meta, tree, visitor)
  if (tree.root !== undefined) yield* walk.page(tree.root, tree.depth, unbounded)
  const { branchPages, leafPages, overflowPages, entries } = walk.seen
  const isAsSaid =
    branchPages === tree.branchPages &&
    leafPages === tree.leafPages &&
    overflowPages === tree.overflowPages &&
    entries === tree.entries
  if (!isAsSaid) yield `Its first pages say that there are other numbers of rows and pages than there are.`
}

/** All pages that are free; undefined when the tree of them is damaged. */
export function freePages(file: PageFile, meta: MetaPage): Set<number> | undefined {
  const free = new Set<number>()
  const row = (_key: Buffer, value: () => Buffer) =>
    visitFree(value(), (page, count) => {
      if (page + count > meta.lastPage + 1) return 'beyond the end'
      for (let index = 0; index < count; index += 1) free.add(page + index)
      return undefined
    })
  for (const _problem of walkTree(file, meta, meta.free, { row })) return undefined
  return free
}

/**
 * Visits the pages that a row of the tree of free pages names until `visit` gives a problem, and gives it. The row is a
 * number of words and the words: a page, or how many follow one another as a negative number and the first of them, or 0.
 */
export function visitFree(
  row: Buffer,
  visit: (page: number, count: number) => string | undefined,
): string | undefined {
  const words = row.length % 8 === 0 && row.length > 0 ? wordIn(row, 0) : Number.POSITIVE_INFINITY
  if (words > row.length / 8 - 1) return 'A list of free pages was cut off.'
  for (let index = 1; index <= words; index += 1) {
    const word = row.readBigInt64LE(index * 8)
    if (word === 0n) continue
    const isBlock = word < 0n
    if (isBlock) index += 1
    if (index > words) return 'A list of free pages was cut off.'
    const problem = visit(wordIn(row, index * 8), isBlock ? Number(-word) : 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

class Walk {
  readonly #file: PageFile
  readonly #meta: MetaPage
  readonly #visitor: TreeVisitor
  readonly #compare: (one: Buffer, other: Buffer) => number
  readonly seen = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }

  constructor(file: PageFile, meta: MetaPage, tree: TreeRoot, visitor: TreeVisitor) {
    this.#file = file
    this.#meta = meta
    this.#visitor = visitor
    this.#compare = tree === meta.free ? compareWords : Buffer.compare
  }

  *page(number: number, depth: number, bounds: Bounds): Generator<string, void> {
    const isLeaf = depth === 1
    const page = this.#read(number, isLeaf ? pageKinds.leaf : pageKinds.branch)
    const nodes = page === undefined ? undefined : nodesOf(page)
    if (page === undefined || nodes === undefined || (nodes.length === 0 && !isLeaf)) {
      yield `Page ${number} is not what LMDB wrote there.`
      return
    }
    if (isLeaf) this.seen.leafPages += 1
    else this.seen.branchPages += 1
    const problem = this.#visitor.pages?.(number, 1)
    if (problem !== undefined) yield problem
    // The first key of a branch stands for everything below the second one.
    const keys = nodes.map(({ key }) => key)
    if (!this.#isInOrder(isLeaf ? keys : keys.slice(1), bounds))
      yield `The keys of page ${number} are out of order.`
    for (const [index, node] of nodes.entries()) {
      if (isLeaf) {
        const found = this.#row(page, node, number)
        if (found !== undefined) yield found
        continue
      }
      const least = index === 0 ? bounds.least : keys[index]
      yield* this.page(node.child, depth - 1, { least, end: keys[index + 1] ?? bounds.end })
    }
  }

  #row(page: Buffer, node: Node, number: number): string | undefined {
    this.seen.entries += 1
    const { key, at, valueBytes } = node
    const problem = `Row ${this.seen.entries} on page ${number} is not what LMDB wrote there.`
    if (node.flags === 0) {
      if (at + valueBytes > page.length) return problem
      return this.#visitor.row?.(key, () => page.subarray(at, at + valueBytes))
    }
    if (node.flags !== longValueFlag || at + longValueBytes > page.length) return problem
    const first = wordIn(page, at)
    const count = wordIn(page, at + 16)
    if (count !== Math.ceil((pageHeaderBytes + valueBytes) / this.#file.pageBytes)) return problem
    const head = this.#read(first, pageKinds.overflow)
    if (head === undefined || head.readUInt32LE(20) !== count)
      return `Page ${first} is not what LMDB wrote there.`
    if (first + count > this.#file.pages) return `Page ${first} is cut off.`
    this.seen.overflowPages += count
    const value = () => this.#file.read(first, count).subarray(pageHeaderBytes, pageHeaderBytes + valueBytes)
    return this.#visitor.pages?.(first, count) ?? this.#visitor.row?.(key, value)
  }

  #read(number: number, kind: number): Buffer | undefined {
    if (number < 2 || number > this.#meta.lastPage || number >= this.#file.pages) return undefined
    const page = this.#file.read(number)
    const header = headerOf(page)
    const isRight =
      header.number === number && header.kind === kind && header.transaction <= this.#meta.transaction
    return isRight ? page : undefined
  }

  #isInOrder(keys: readonly Buffer[], { least, end }: Bounds): boolean {
    const [first] = keys
    const last = keys.at(-1)
    if (first === undefined || last === undefined) return true
    if (this.#compare === compareWords && keys.some((key) => key.length !== wordBytes)) return false
    if (least !== undefined && this.#compare(first, least) < 0) return false
    if (end !== undefined && this.#compare(last, end) >= 0) return false
    return keys.every((key, index) => index === 0 || this.#compare(keys[index - 1] as Buffer, key) < 0)
  }
}

/** What a page has for one key. */
interface Node {
  readonly key: Buffer
  /** Of a branch: the page below. */
  readonly child: number
  readonly flags: number
  /** Of a leaf: where its value begins, and how long it is. */
  readonly at: number
  readonly valueBytes: number
}

/** The nodes of a page; undefined when they do not fit into it. */
function nodesOf(page: Buffer): Node[] | undefined {
  const pointerBytes = page.readUInt16LE(20)
  if (pointerBytes % 2 !== 0 || pageHeaderBytes + pointerBytes > page.length) return undefined
  const nodes: Node[] = []
  for (let position = 0; position < pointerBytes; position += 2) {
    const start = pageHeaderBytes + page.readUInt16LE(pageHeaderBytes + position)
    if (start < pageHeaderBytes + pointerBytes || start + nodeHeaderBytes > page.length) return undefined
    const low = page.readUInt32LE(start)
    const flags = page.readUInt16LE(start + 4)
    const at = start + nodeHeaderBytes + page.readUInt16LE(start + 6)
    if (at > page.length) return undefined
    const key = page.subarray(start + nodeHeaderBytes, at)
    nodes.push({ key, child: low + flags * 2 ** 32, flags, at, valueBytes: low })
  }
  return nodes
}

const wordBytes = 8

function compareWords(one: Buffer, other: Buffer): number {
  return wordIn(one, 0) - wordIn(other, 0)
}
