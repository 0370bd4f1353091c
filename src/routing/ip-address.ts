/**
 * IP addresses as text that sorts as the addresses do: '4' or '6', then 16 bits of the address in each character. An IPv4
 * address that is written as IPv6 (`::ffff:a00:1`) is the IPv4 address.
 */

const [zero, nine, point, colon] = [48, 57, 46, 58]

/** The sortable form of an address; undefined for a text that is not one. */
export function sortableAddress(text: string): string | undefined {
  const first = text.charCodeAt(0)
  const startsLikeOne = (first >= zero && first <= colon) || ((first | 32) >= 97 && (first | 32) <= 102)
  if (!startsLikeOne || text.length > 45) return undefined
  return sortableV4(text) ?? (/^[\da-fA-F:]*:[\da-fA-F:]*$/.test(text) ? sortableV6(text) : undefined)
}

/** Four decimal numbers with points between them, by hand: a look-up of addresses asks this of every text. */
function sortableV4(text: string): string | undefined {
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
  address = address * 256 + part
  return String.fromCharCode(52, Math.floor(address / 65_536), address % 65_536)
}

function sortableV6(text: string): string | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const zeros = 8 - left.length - right.length
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  if (groups.some((group) => group.length === 0 || group.length > 4)) return undefined
  const numbers = groups.map((group) => Number.parseInt(group, 16))
  const isV4 = numbers[5] === 0xffff && numbers.slice(0, 5).every((number) => number === 0)
  return String.fromCharCode(isV4 ? 52 : 54, ...(isV4 ? numbers.slice(6) : numbers))
}

/** The first and the last address of a block such as `10.0.0.0/24`, sortable; undefined for a text that is not one. */
export function blockOf(cidr: string): { readonly low: string; readonly high: string } | undefined {
  const [text = '', mask = '', ...rest] = cidr.split('/')
  const address = sortableAddress(text)
  if (rest.length > 0 || address === undefined || !/^\d+$/.test(mask)) return undefined
  const fixed = Number(mask)
  if (fixed >= (address.length - 1) * 16) return undefined
  const [low, high] = [[address.charCodeAt(0)], [address.charCodeAt(0)]]
  for (let index = 1; index < address.length; index += 1) {
    const free = Math.min(16, Math.max(0, index * 16 - fixed))
    const unit = address.charCodeAt(index)
    low.push(unit & ~(2 ** free - 1))
    high.push(unit | (2 ** free - 1))
  }
  return { low: String.fromCharCode(...low), high: String.fromCharCode(...high) }
}
