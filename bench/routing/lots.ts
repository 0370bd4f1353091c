import { random } from './random.ts'

/**
 * Events of about 900 bytes that look like San Francisco's city lots: who a lot is, and the polygon around it. Made from a
 * seed, because the real file is large.
 */
export interface Lot {
  readonly type: 'Feature'
  readonly subject: string
  readonly properties: Readonly<Record<string, string | null>>
  readonly geometry: {
    readonly type: 'Polygon' | 'MultiPolygon'
    readonly firstCoordinates: Point
    readonly coordinates: readonly Point[]
  }
}

interface Point {
  readonly x: number
  readonly y: number
  readonly z: number
}

const syllables = [
  'BAL',
  'MA',
  'SON',
  'FUL',
  'TON',
  'RI',
  'VER',
  'DA',
  'LE',
  'KE',
  'GO',
  'HY',
  'CHES',
  'NUT',
  'ING',
  'O',
]

/** The names of streets, as many as asked for, no two alike. */
export function streets(count: number): string[] {
  const next = random(7)
  const names = new Set<string>()
  while (names.size < count) {
    const parts = Array.from({ length: 3 + Math.floor(next() * 3) }, () => pick(syllables, next))
    names.add(parts.join(''))
  }
  return [...names]
}

export function pick<T>(from: readonly T[], next: () => number): T {
  return from[Math.floor(next() * from.length)] as T
}

/** Lots in a random order, the same in every run. */
export function lots(count: number): Lot[] {
  const next = random(42)
  const names = streets(20_000)
  return Array.from({ length: count }, () => lot(next, names))
}

function lot(next: () => number, names: readonly string[]): Lot {
  const block = String(Math.floor(next() * 10_000)).padStart(4, '0')
  const number = String(Math.floor(next() * 1_000)).padStart(3, '0')
  const from = 1 + Math.floor(next() * 4_000)
  const [x, y] = [-122.5144 + next() * 0.148, 37.7081 + next() * 0.125]
  const corners = Array.from({ length: 9 }, () => ({
    x: x + next() * 0.0005,
    y: y + next() * 0.0005,
    z: 0,
  }))
  const [firstCoordinates = { x, y, z: 0 }] = corners
  return {
    type: 'Feature',
    subject: `sf.${block}.${number}`,
    properties: {
      MAPBLKLOT: `${block}${number}`,
      BLKLOT: `${block}${number}`,
      BLOCK_NUM: block,
      LOT_NUM: number,
      FROM_ST: String(from),
      TO_ST: String(from),
      STREET: pick(names, next),
      ST_TYPE: pick(['ST', 'ST', 'ST', 'AVE', 'AVE', 'BLVD', null], next),
      ODD_EVEN: from % 2 === 0 ? 'E' : 'O',
      ADDRESS: `10.${Number(block) >> 8}.${Number(block) & 255}.${Number(number) & 255}`,
    },
    geometry: {
      type: next() < 0.001 ? 'MultiPolygon' : 'Polygon',
      firstCoordinates,
      coordinates: [...corners, firstCoordinates],
    },
  }
}
