import { Bucket } from './bucket.ts'
import { type Address, type AddressBlock, blockStart } from './ip-address.ts'

type Blocks<T> = Map<Address, Bucket<T>>

/** Finds all blocks that hold an address: apart for each size of a block, by where a block of that size would begin. */
export class AddressIndex<T> {
  readonly #v4: (Blocks<T> | undefined)[] = []
  readonly #v6: (Blocks<T> | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  at({ start, freeBits }: AddressBlock, make = false): Bucket<T> | undefined {
    const bySize = this.#bySize(start)
    const known = bySize[freeBits]?.get(start)
    if (known !== undefined || !make) return known
    while (bySize.length < freeBits) bySize.push(undefined)
    const blocks: Blocks<T> = bySize[freeBits] ?? new Map()
    bySize[freeBits] = blocks
    const made = new Bucket<T>()
    blocks.set(start, made)
    this.#size += 1
    return made
  }

  delete({ start, freeBits }: AddressBlock): void {
    const bySize = this.#bySize(start)
    if (bySize[freeBits]?.delete(start)) this.#size -= 1
    if (bySize[freeBits]?.size === 0) bySize[freeBits] = undefined
  }

  visit(address: Address, visitor: (item: T) => void): void {
    const bySize = this.#bySize(address)
    for (let freeBits = 0; freeBits < bySize.length; freeBits += 1) {
      bySize[freeBits]?.get(blockStart(address, freeBits))?.visit(visitor)
    }
  }

  #bySize(address: Address): (Blocks<T> | undefined)[] {
    return typeof address === 'number' ? this.#v4 : this.#v6
  }
}
