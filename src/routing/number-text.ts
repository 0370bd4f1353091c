/**
 * Numbers as JSON writes them. A double carries most of them exactly; the rest (an account number of 20 digits, a price with
 * 30 decimals) would turn into a neighbour without notice, so they stay text and equal nothing but the same text.
 */

/** A number of a JSON text that no double stands for. */
export class NumberText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const surelyExact = /^-?[\d.]{1,16}$/

/** The value of a JSON number; undefined where `text` is not one. */
export function readNumber(text: string): number | NumberText | undefined {
  if (!jsonNumber.test(text)) return undefined
  const value = Number(text)
  return isExact(text, value) ? value : new NumberText(text)
}

/** Whether the shortest decimal that stands for the double is the very number that was written. */
function isExact(text: string, value: number): boolean {
  if (surelyExact.test(text)) return true
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
