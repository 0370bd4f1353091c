import { pick, streets } from './lots.ts'
import { random } from './random.ts'

/** Patterns of one kind: as many as asked for, all different, of which an event matches few. */
type Kind = (count: number) => object[]

const digits = (value: number, length: number) => String(value).padStart(length, '0')
const many = (count: number, make: (index: number) => object) =>
  Array.from({ length: count }, (_, index) => make(index))
const names = streets(20_000)
const street = (index: number) => names[(index * 7_919) % names.length] ?? ''
const block = (index: number) => digits((index * 7_919) % 10_000, 4)
const onStreet = (value: unknown) => ({ properties: { STREET: [value] } })

const kinds: Readonly<Record<string, Kind>> = {
  exact: (count) =>
    many(count, (index) => ({ properties: { MAPBLKLOT: [block(index) + digits(index % 1_000, 3)] } })),
  prefix: (count) => many(count, (index) => ({ properties: { MAPBLKLOT: [{ prefix: block(index) }] } })),
  suffix: (count) => many(count, (index) => ({ properties: { MAPBLKLOT: [{ suffix: block(index) }] } })),
  'ignore case': (count) =>
    many(count, (index) => onStreet({ 'equals-ignore-case': street(index).toLowerCase() })),
  wildcard: (count) =>
    many(count, (index) => ({
      properties: {
        MAPBLKLOT: [{ wildcard: `${index % 2 === 0 ? block(index) : `*${block(index)}`}*${index % 10}` }],
      },
    })),
  numeric: (count) =>
    many(count, (index) => {
      const low = -122.5144 + ((index * 7_919 * 1.48e-5) % 0.148)
      return { geometry: { firstCoordinates: { x: [{ numeric: ['>', low, '<', low + 1.48e-5] }] } } }
    }),
  'anything but': (count) =>
    many(count, (index) => ({
      properties: {
        BLOCK_NUM: [block(index)],
        ST_TYPE: [{ 'anything-but': [pick(['ST', 'AVE'], random(index))] }],
      },
    })),
  cidr: (count) =>
    many(count, (index) => ({ properties: { ADDRESS: [{ cidr: `10.${index >> 8}.${index & 255}.0/24` }] } })),
  'one array element': (count) =>
    many(count, (index) => {
      const low = -122.5144 + ((index * 7_919 * 1.48e-5) % 0.148)
      return {
        geometry: {
          coordinates: { x: [{ numeric: ['>', low, '<', low + 1.48e-5] }], y: [{ numeric: ['<', 37.77] }] },
        },
      }
    }),
  'routing key': (count) => many(count, (index) => ({ subject: `sf.${block(index)}.*` })),
}

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

/** What is measured: for each name the sets of patterns, by how many there are. */
export function ruleSets(): ReadonlyMap<string, readonly object[]> {
  const sets = new Map<string, readonly object[]>()
  for (const [name, patterns] of Object.entries(five)) sets.set(`5 ${name}`, patterns)
  sets.set('5 of each', Object.values(five).flat())
  for (const count of [1, 100, 1_000, 10_000]) {
    for (const [name, kind] of Object.entries(kinds)) sets.set(`${count} ${name}`, kind(count))
    const all = Object.values(kinds).map((kind) => kind(count))
    sets.set(
      `${count} mixed`,
      many(count, (index) => all[index % all.length]?.[index] ?? {}),
    )
  }
  return sets
}
