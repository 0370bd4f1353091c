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
  const tried = new Set<string>()
  for (const [array = -1, element = -1] of chooser.passing) {
    const choice = `${array} ${element}`
    if (tried.has(choice)) continue
    tried.add(choice)
    if (fitTogether(fields.map((field) => within(field, fields, array, element)))) return true
  }
  return false
}

/** What is left of a field's values once an element of an array is chosen. */
function within(field: Found, fields: readonly Found[], array: number, element: number): Found {
  const chosenBefore = fields.some(
    (other) => other.rank < field.rank && other.passing.some((place) => outermost(place) === array),
  )
  const isAbsence = field.passing.length === 0
  return {
    ...field,
    passing: keep(field.passing, array, element),
    present:
      isAbsence && !chosenBefore ? field.present.map(free(array)) : keep(field.present, array, element),
  }
}

function keep(places: readonly Place[], array: number, element: number): Place[] {
  return places.flatMap((place) => {
    if (outermost(place) !== array) return [place]
    return place[1] === element ? [place.slice(2)] : []
  })
}

/** A value in an array that no field before it has chosen an element of is there, in whichever element it may be. */
const free = (array: number) => (place: Place) => (outermost(place) === array ? [] : place)
