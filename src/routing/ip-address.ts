/**
 * IP addresses as text that sorts as the addresses do: '4' or '6', then the address in hexadecimal digits. An IPv4 address
 * that is written as IPv6 (`::ffff:a00:1`) is the IPv4 address.
 */

const v4 = /^\d+\.\d+\.\d+\.\d+$/
const v6 = /^[\da-fA-F:]*:[\da-fA-F:]*$/
const mappedV4 = `${'0'.repeat(20)}ffff`

/** The sortable form of an address; undefined for a text that is not one. */
export function sortableAddress(text: string): string | undefined {
  const first = text.charCodeAt(0)
  const startsLikeOne =
    first === 58 || (first >= 48 && first <= 57) || ((first | 32) >= 97 && (first | 32) <= 102)
  if (!startsLikeOne || text.length > 45) return undefined
  if (v4.test(text)) return sortableV4(text)
  return v6.test(text) ? sortableV6(text) : undefined
}

function sortableV4(text: string): string | undefined {
  const parts = text.split('.').map(Number)
  if (parts.some((part) => part > 255)) return undefined
  return `4${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

function sortableV6(text: string): string | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const zeros = 8 - left.length - right.length
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  if (groups.some((group) => group.length === 0 || group.length > 4)) return undefined
  const digits = groups.map((group) => group.toLowerCase().padStart(4, '0')).join('')
  return digits.startsWith(mappedV4) ? `4${digits.slice(24)}` : `6${digits}`
}

/** The first and the last address of a block such as `10.0.0.0/24`, sortable; undefined for a text that is not one. */
export function blockOf(cidr: string): { readonly low: string; readonly high: string } | undefined {
  const [address = '', mask = '', ...rest] = cidr.split('/')
  const sortable = sortableAddress(address)
  if (rest.length > 0 || sortable === undefined || !/^\d+$/.test(mask)) return undefined
  const family = sortable.slice(0, 1)
  const bits = (sortable.length - 1) * 4
  const fixed = Number(mask)
  if (fixed >= bits) return undefined
  const value = BigInt(`0x${sortable.slice(1)}`)
  const free = (1n << BigInt(bits - fixed)) - 1n
  const text = (address: bigint) => family + address.toString(16).padStart(bits / 4, '0')
  return { low: text(value & ~free), high: text(value | free) }
}
