/**
 * Numbers as JSON writes them. A double carries most of them exactly. The rest (an account number of 20 digits, a price with
 * 30 decimals) equal nothing but the same text, and are between no bounds: numeric matching ends where doubles do.
 */

/** A number of a JSON text with more digits than every double has. */
export class LongNumber {
  readonly text: string
  /** The double that is nearest. */
  readonly value: number
  #isExact: boolean | undefined

  constructor(text: string, value: number) {
    this.text = text
    this.value = value
  }

  /** Whether the shortest decimal that stands for the double is the very number that was written. */
  get isExact(): boolean {
    this.#isExact ??= isExact(this.text, this.value)
    return this.#isExact
  }
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const short = /^-?(?:\d{1,15}|\d+\.\d+)$/

/** The value of a JSON number; undefined where `text` is not one. */
export function readNumber(text: string): number | LongNumber | undefined {
  if (!jsonNumber.test(text)) return undefined
  return text.length <= 16 && short.test(text) ? Number(text) : new LongNumber(text, Number(text))
}

/** The value of a JSON number in a pattern: the double where one is equal to it. */
export function exactNumber(text: string): number | LongNumber | undefined {
  const number = readNumber(text)
  return number instanceof LongNumber && number.isExact ? number.value : number
}

function isExact(text: string, value: number): boolean {
  if (!Number.isFinite(value)) return false
  const shortest = String(value)
  return shortest === text || normalized(shortest) === normalized(text)
}

/** Sign, digits without zeros around them, and the power of ten, so that equal decimals have equal texts. */
function normalized(text: string): string {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const sign = mantissa.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const power = Number(exponent) - fraction.length + (digits.length - significant.length)
  return `${sign}${significant}e${power}`
}
