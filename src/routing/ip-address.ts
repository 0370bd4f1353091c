/**
 * IP addresses: one of version 4 is its number, one of version 6 a text with 16 of its bits in each character. An IPv4 address that
 * is written as IPv6 (`::ffff:a00:1`) is the IPv4 address.
 */
export type Address = number | string

/** All addresses that differ from the first in no more than so many of their last bits. */
export interface AddressBlock {
  readonly start: Address
  readonly freeBits: number
}

const [zero, nine, point, colon] = [48, 57, 46, 58]

/** The address that a text is; undefined for a text that is none. */
export function readAddress(text: string): Address | undefined {
  const first = text.charCodeAt(0)
  const startsLikeOne = (first >= zero && first <= colon) || ((first | 32) >= 97 && (first | 32) <= 102)
  if (!startsLikeOne || text.length > 45) return undefined
  return readV4(text) ?? (/^[\da-fA-F:]*:[\da-fA-F:]*$/.test(text) ? readV6(text) : undefined)
}

/** Four decimal numbers with points between them, by hand: a look-up of addresses asks this of every text. */
function readV4(text: string): number | undefined {
  let address = 0
  let part = -1
  let parts = 1
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code >= zero && code <= nine) {
      part = Math.max(part, 0) * 10 + (code - zero)
      if (part > 255) return undefined
    } else if (code === point && part >= 0 && parts < 4) {
      address = address * 256 + part
      part = -1
      parts += 1
    } else return undefined
  }
  if (parts !== 4 || part < 0) return undefined
  return address * 256 + part
}

function readV6(text: string): Address | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const zeros = 8 - left.length - right.length
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  if (groups.some((group) => group.length === 0 || group.length > 4)) return undefined
  const numbers = groups.map((group) => Number.parseInt(group, 16))
  const isV4 = numbers[5] === 0xffff && numbers.slice(0, 5).every((number) => number === 0)
  return isV4 ? (numbers[6] ?? 0) * 65_536 + (numbers[7] ?? 0) : String.fromCharCode(...numbers)
}

/** The block that a text such as `10.0.0.0/24` is; undefined for a text that is none. */
export function blockOf(cidr: string): AddressBlock | undefined {
  const [text = '', mask = '', ...rest] = cidr.split('/')
  const address = readAddress(text)
  if (rest.length > 0 || address === undefined || !/^\d+$/.test(mask)) return undefined
  const freeBits = (typeof address === 'number' ? 32 : 128) - Number(mask)
  return freeBits > 0 ? { start: blockStart(address, freeBits), freeBits } : undefined
}

/** Where the block of a size begins that an address is in. */
export function blockStart(address: Address, freeBits: number): Address {
  if (typeof address === 'number') return freeBits === 32 ? 0 : (address & (-1 << freeBits)) >>> 0
  const free = freeBits & 15
  const kept = address.length - (freeBits >> 4)
  if (free === 0) return address.slice(0, kept)
  return address.slice(0, kept - 1) + String.fromCharCode(address.charCodeAt(kept - 1) & -(2 ** free))
}
