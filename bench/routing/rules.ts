import { type Lot, lots, streets } from './lots.ts'
import { random } from './random.ts'

/** Patterns, and the events that they are measured with. */
export interface RuleSet {
  readonly patterns: readonly object[]
  /** For each pattern, a further condition in CEL over `event`. */
  readonly conditions?: readonly string[]
  readonly events: readonly Lot[]
}

type Properties = Readonly<Record<string, string | null>>

/** Patterns of one kind, each of its own number, and lots made such that they match one of them, or none. */
interface Kind {
  pattern(index: number): object
  /** A further condition in CEL. */
  condition?(index: number): string
  /** Every whole number is the number of a pattern; a half, such as 7.5, lies between two, and matches none. */
  lot(plain: Lot, index: number): Lot
}

const size = 2_000
const most = 10_000
const names = streets(2 * most)
/** Numbers that follow each other are not neighbours in what is matched. */
const spread = (index: number) => Math.floor((index % 1) * 2) + 2 * ((Math.floor(index) * 7_919) % most)
const street = (index: number) => names[spread(index)] ?? ''
const block = (index: number) => String(spread(index)).padStart(5, '0')
const west = (index: number) => -122.5144 + spread(index) * 7.4e-6
const between = (index: number) => ({ numeric: ['>=', west(index), '<', west(index + 0.5)] })
const network = (index: number) => `10.${(index >> 8) & 255}.${index & 255}`

const withProperties = (plain: Lot, properties: Properties): Lot => ({
  ...plain,
  properties: { ...plain.properties, ...properties },
})
const onStreet = (value: unknown) => ({ properties: { STREET: [value] } })
const onLot = (value: unknown) => ({ properties: { MAPBLKLOT: [value] } })
const startsWith = (plain: Lot, index: number) =>
  withProperties(plain, { MAPBLKLOT: `${block(index)}${plain.properties.LOT_NUM}` })

/** Moves all corners to where no pattern asks for them, but one to where the pattern of this number does. */
function cornersOf(plain: Lot, index: number): Lot['geometry'] {
  const low = index % 1 === 0
  const coordinates = plain.geometry.coordinates.map((corner, at) => ({
    ...corner,
    x: west(Math.floor(index) + (at === 3 ? 0 : 0.5)) + 1e-6 + (Math.abs(corner.x) % 1e-6),
    y: ((at === 3) === low ? 37.76 : 37.78) + (corner.y % 0.001),
  }))
  return { ...plain.geometry, coordinates }
}

const kinds: Readonly<Record<string, Kind>> = {
  exact: {
    pattern: (index) => onLot(`${block(index)}123`),
    lot: (plain, index) => withProperties(plain, { MAPBLKLOT: `${block(index)}123` }),
  },
  prefix: { pattern: (index) => onLot({ prefix: block(index) }), lot: startsWith },
  suffix: {
    pattern: (index) => onLot({ suffix: block(index) }),
    lot: (plain, index) => withProperties(plain, { MAPBLKLOT: `${plain.properties.LOT_NUM}${block(index)}` }),
  },
  'ignore case': {
    pattern: (index) => onStreet({ 'equals-ignore-case': street(index).toLowerCase() }),
    lot: (plain, index) => withProperties(plain, { STREET: street(index) }),
  },
  wildcard: {
    pattern: (index) => onLot({ wildcard: `${index % 2 === 0 ? '' : '*'}${block(index)}*${index % 10}` }),
    lot: (plain, index) =>
      withProperties(plain, {
        MAPBLKLOT: `${Math.floor(index) % 2 === 0 ? '' : '12'}${block(index)}4${Math.floor(index) % 10}`,
      }),
  },
  numeric: {
    pattern: (index) => ({ geometry: { firstCoordinates: { x: [between(index)] } } }),
    lot: ({ geometry, ...plain }, index) => ({
      ...plain,
      geometry: { ...geometry, firstCoordinates: { ...geometry.firstCoordinates, x: west(index) + 1e-6 } },
    }),
  },
  'anything but': {
    pattern: (index) => ({
      properties: { BLOCK_NUM: [block(index)], ST_TYPE: [{ 'anything-but': ['ST'] }] },
    }),
    lot: (plain, index) =>
      withProperties(plain, {
        BLOCK_NUM: block(Math.floor(index)),
        ST_TYPE: index % 1 === 0 ? 'AVE' : 'ST',
      }),
  },
  cidr: {
    pattern: (index) => ({ properties: { ADDRESS: [{ cidr: `${network(index)}.0/25` }] } }),
    lot: (plain, index) =>
      withProperties(plain, {
        ADDRESS: `${network(Math.floor(index))}.${index % 1 === 0 ? 77 : 177}`,
      }),
  },
  'one array element': {
    pattern: (index) => ({
      geometry: { coordinates: { x: [between(index)], y: [{ numeric: ['<', 37.77] }] } },
    }),
    lot: (plain, index) => ({ ...plain, geometry: cornersOf(plain, index) }),
  },
  'exact, and a condition in CEL': {
    pattern: (index) => onLot(`${block(index)}123`),
    condition: (index) =>
      `event.properties.STREET.size() < 100 && event.properties.LOT_NUM != '${block(index)}'`,
    lot: (plain, index) => withProperties(plain, { MAPBLKLOT: `${block(index)}123` }),
  },
  'routing key': {
    pattern: (index) => ({ subject: `sf.${block(index)}.*` }),
    lot: (plain, index) => ({ ...plain, subject: `sf.${block(index)}.${plain.properties.LOT_NUM}` }),
  },
}

/** The first pattern of the first kind, the second of the second, and so on. */
const mixed: Kind = {
  pattern: (index) => kindOf(index).pattern(index),
  lot(plain, index) {
    const missing = Object.values(kinds).reduce((lot, kind) => kind.lot(lot, Math.floor(index) + 0.5), plain)
    return index % 1 === 0 ? kindOf(index).lot(missing, index) : missing
  },
}

function kindOf(index: number): Kind {
  const all = Object.values(kinds)
  return all[index % all.length] as Kind
}

/** So many patterns of a kind, and lots of which one half, in no order, match one of them each; whatever their number. */
function ruleSet({ pattern, condition, lot }: Kind, count: number): RuleSet {
  const next = random(count)
  return {
    patterns: Array.from({ length: count }, (_, index) => pattern(index)),
    ...(condition && { conditions: Array.from({ length: count }, (_, index) => condition(index)) }),
    events: plainLots.map((plain) => lot(plain, Math.floor(next() * count) + (next() < 0.5 ? 0 : 0.5))),
  }
}

const plainLots = lots(size)

/** Five patterns of each kind, like those that event-ruler is measured with: some match nothing, some almost everything. */
const five: Readonly<Record<string, readonly object[]>> = {
  exact: names.slice(0, 5).map(onStreet),
  prefix: ['BA', 'MAS', 'DAL', 'HYDA', 'OO'].map((prefix) => onStreet({ prefix })),
  suffix: ['ON', 'KE', 'DAGO', 'ING', 'NUT'].map((suffix) => onStreet({ suffix })),
  'ignore case': names.slice(0, 5).map((name) => onStreet({ 'equals-ignore-case': name.toLowerCase() })),
  wildcard: ['143*', '2*0*1*7', '*218', '3*5*2', '0*IL'].map((wildcard) => ({
    properties: { MAPBLKLOT: [{ wildcard }] },
  })),
  numeric: [
    { type: ['Polygon'], firstCoordinates: { x: [{ numeric: ['=', -122.42916360922355] }] } },
    { type: ['MultiPolygon'], firstCoordinates: { z: [{ numeric: ['=', 0] }] } },
    { firstCoordinates: { x: [{ numeric: ['<', -122.41600944012424] }] } },
    { firstCoordinates: { x: [{ numeric: ['>', -122.41600944012424] }] } },
    { firstCoordinates: { x: [{ numeric: ['>', -122.46471267081272, '<', -122.4063085128395] }] } },
  ].map((geometry) => ({ geometry })),
  'anything but': [
    onStreet({ 'anything-but': [street(1)] }),
    onStreet({ 'anything-but': [street(2)] }),
    { properties: { ST_TYPE: [{ 'anything-but': ['ST'] }] } },
    { geometry: { type: [{ 'anything-but': ['Polygon'] }] } },
    { properties: { FROM_ST: [{ 'anything-but': ['441'] }] } },
  ],
  'complex arrays': [
    { type: ['Polygon'], coordinates: { x: [{ numeric: ['=', -122.42916360922355] }] } },
    { type: ['MultiPolygon'], coordinates: { y: [{ numeric: ['=', 37.729900216217324] }] } },
    { coordinates: { x: [{ numeric: ['<', -122.41600944012424] }] } },
    { coordinates: { x: [{ numeric: ['>', -122.41600944012424] }] } },
    { coordinates: { x: [{ numeric: ['>', -122.46471267081272, '<', -122.4063085128395] }] } },
  ].map((geometry) => ({ geometry })),
}

/** What is measured: for each name a set of patterns and its events, made when it is its turn. */
export function ruleSets(): ReadonlyMap<string, () => RuleSet> {
  const sets = new Map<string, () => RuleSet>()
  const natural = (patterns: readonly object[]) => () => ({ patterns, events: plainLots })
  for (const [name, patterns] of Object.entries(five)) sets.set(`5 ${name}`, natural(patterns))
  sets.set('5 of each', natural(Object.values(five).flat()))
  for (const [name, kind] of Object.entries({ ...kinds, mixed })) {
    for (const count of [1, 100, 1_000, most]) sets.set(`${count} ${name}`, () => ruleSet(kind, count))
  }
  return sets
}
