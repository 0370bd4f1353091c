import type { Row } from '../../../log/table-feed.ts'

/** A number as it was written: JavaScript cannot hold all of them. */
class Numeral {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

const int8 = 20
const numeric = 1700
/** Types whose numbers are given as text, whatever they are, and their arrays. */
const exactTypes = new Set([int8, 1016, numeric, 1231])

/** Whether numbers of a type are given as text, so that none of them loses a digit. */
export function isExact(typeId: number): boolean {
  return exactTypes.has(typeId)
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

const keepNumerals: Reviver = (_key, value, { source }) => {
  return typeof value === 'number' && source !== undefined ? new Numeral(source) : value
}

/** A row from the JSON that the server makes of it; `exact` are the columns whose numbers are text. */
export function rowOfJson(text: string, exact: ReadonlySet<string>): Row {
  const parsed = parseJson(text) as Record<string, unknown>
  for (const [column, value] of Object.entries(parsed)) parsed[column] = settled(value, exact.has(column))
  return parsed
}

function parseJson(text: string): unknown {
  return JSON.parse(text, keepNumerals as (key: string, value: unknown) => unknown)
}

function settled(value: unknown, exact: boolean): unknown {
  if (value instanceof Numeral) return numberOf(value, exact)
  if (Array.isArray(value)) return value.map((each) => settled(each, exact))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, settled(each, exact)]))
}

/** Whole numbers that a JavaScript number would change stay text also within JSON. */
function numberOf({ source }: Numeral, exact: boolean): number | string {
  const value = Number(source)
  const isKept = !exact && (!/^-?\d+$/.test(source) || Number.isSafeInteger(value))
  return isKept ? value : source
}

const bool = 16
const numbers = new Set([21, 23, 26, 700, 701])
const json = new Set([114, 3802])
const timestamp = 1114
const timestampWithZone = 1184

/** A value from the text that the server writes it as, equal to what {@link rowOfJson} gives for it. */
export function valueOfText(typeId: number, text: string): unknown {
  if (typeId === bool) return text === 't'
  if (numbers.has(typeId)) return Number.isFinite(Number(text)) ? Number(text) : text
  if (json.has(typeId)) return settled(parseJson(text), false)
  if (typeId === timestamp) return text.replace(' ', 'T')
  if (typeId === timestampWithZone) return text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')
  return text
}
