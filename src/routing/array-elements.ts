/**
 * Fields within an array of objects must be matched within one element of it. A value's place says in which elements of
 * which arrays it is, from the outside in, as pairs of numbers: array, element, array, element. Two values go together when
 * no array holds both in different elements.
 */
export type Place = readonly number[]

/** What one field of a pattern found in an event with arrays. */
export interface Found {
  /** Rank of its path among the fields of the pattern. */
  readonly rank: number
  /** The places of the values that pass. */
  readonly passing: readonly Place[]
  /** The places of all its values. */
  readonly present: readonly Place[]
  /** Whether the field also fits when it has no value in the elements that were chosen by fields of lower rank. */
  readonly orAbsent: boolean
}

/** Whether there are elements, one of each array, in which all fields fit. */
export function fitTogether(fields: readonly Found[]): boolean {
  const positive: Found[] = []
  const negative: Found[] = []
  for (const field of fields) {
    if (field.orAbsent && field.present.length === 0) continue
    if (field.passing.some(isFree)) {
      if (mayHide(field, fields)) return withOrWithoutElement(fields, field)
      continue
    }
    if (field.passing.length > 0) {
      if (field.orAbsent) return eitherWay(fields, field)
      positive.push(field)
    } else {
      if (!field.orAbsent || field.present.some(isFree)) return false
      negative.push(field)
    }
  }
  if (positive.length === 0) return negative.length === 0
  return connected([...positive, ...negative]).every(chooseElement)
}

const isFree = (place: Place) => place.length === 0

/** Whether choosing one of the field's elements could leave a field of higher rank without values. */
function mayHide(field: Found, fields: readonly Found[]): boolean {
  if (field.passing.every(isFree)) return false
  return fields.some((other) => other.orAbsent && other.rank > field.rank && other.present.length > 0)
}

/** A field that passes outside of arrays as well as in some of their elements: by the one, or by the other. */
function withOrWithoutElement(fields: readonly Found[], field: Found): boolean {
  const within = { ...field, passing: field.passing.filter((place) => !isFree(place)) }
  return (
    fitTogether(fields.filter((other) => other !== field)) ||
    fitTogether(fields.map((other) => (other === field ? within : other)))
  )
}

/** A field that has both values that pass and leave to be absent: as the one, or as the other. */
function eitherWay(fields: readonly Found[], field: Found): boolean {
  const as = (changed: Found) => fitTogether(fields.map((other) => (other === field ? changed : other)))
  return as({ ...field, orAbsent: false }) || as({ ...field, passing: [] })
}

/** Fields that share no array do not depend on one another, so they are settled apart: the work adds up, not multiplies. */
function connected(fields: readonly Found[]): Found[][] {
  const groups: { readonly fields: Found[]; readonly arrays: Set<number> }[] = []
  for (const field of fields) {
    const arrays = new Set((field.passing.length > 0 ? field.passing : field.present).map(outermost))
    const joined = groups.filter((group) => [...arrays].some((array) => group.arrays.has(array)))
    const apart = groups.filter((group) => !joined.includes(group))
    const group = { fields: [...joined.flatMap((group) => group.fields), field], arrays }
    for (const { arrays } of joined) for (const array of arrays) group.arrays.add(array)
    groups.splice(0, groups.length, ...apart, group)
  }
  return groups.map((group) => group.fields)
}

const outermost = (place: Place) => place[0] ?? -1

/** Tries the elements in which one field has values that pass, each with all that is then left for the others. */
function chooseElement(fields: readonly Found[]): boolean {
  const chooser = fields.find((field) => field.passing.length > 0)
  if (chooser === undefined) return false
  for (const array of new Set(chooser.passing.map(outermost))) {
    const divided = fields.map((field) => divide(field, array))
    if (fields.some((field, index) => isThereAnyway(field, fields, divided[index]?.present, array))) continue
    const elements = divided[fields.indexOf(chooser)]?.passing.within.keys() ?? []
    for (const element of elements) {
      const left = divided.map(({ field, passing, present }) => ({
        ...field,
        passing: leftIn(passing, element),
        present: leftIn(present, element),
      }))
      if (fitTogether(left)) return true
    }
  }
  return false
}

/** Places by the element of one array that they are in, seen from there; and those that are not in it. */
interface Divided {
  readonly within: ReadonlyMap<number, Place[]>
  readonly elsewhere: readonly Place[]
}

function divide(field: Found, array: number): { field: Found; passing: Divided; present: Divided } {
  return { field, passing: divided(field.passing, array), present: divided(field.present, array) }
}

function divided(places: readonly Place[], array: number): Divided {
  const within = new Map<number, Place[]>()
  const elsewhere: Place[] = []
  for (const place of places) {
    const [outer, element = -1] = place
    if (outer !== array) elsewhere.push(place)
    else if (within.get(element)?.push(place.slice(2)) === undefined) within.set(element, [place.slice(2)])
  }
  return { within, elsewhere }
}

function leftIn({ within, elsewhere }: Divided, element: number): readonly Place[] {
  const inElement = within.get(element) ?? []
  return elsewhere.length === 0 ? inElement : [...elsewhere, ...inElement]
}

/** A value in an array that no field of lower rank has chosen an element of is there, in whichever element it may be. */
function isThereAnyway(
  field: Found,
  fields: readonly Found[],
  present: Divided | undefined,
  array: number,
): boolean {
  if (field.passing.length > 0 || present === undefined || present.within.size === 0) return false
  return !fields.some(
    (other) => other.rank < field.rank && other.passing.some((place) => outermost(place) === array),
  )
}
