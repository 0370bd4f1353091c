/**
 * Comparing without regard to case as event patterns do it: character by character, where a character of the pattern stands
 * for its own lower or upper case form. That can be more than one character (`ß` also stands for `SS`).
 */

/** A text of a pattern with the forms of each of its characters. */
export interface LooseText {
  /** What {@link foldCase} makes of everything that this text stands for. */
  readonly folded: string
  readonly ascii: boolean
  readonly forms: readonly { readonly lower: string; readonly upper: string }[]
}

const onlyAscii = /^[\0-\x7f]*$/

/** Whether a text has no characters but those of ASCII: of these, each has its other case alone. */
export const isAscii = (text: string) => onlyAscii.test(text)

/** One text for all that differ in case only; different texts may fold into one, so what is found by it is compared again. */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase()
  let folded = ''
  for (let index = 0; index < text.length; index += 1) {
    folded += text.charAt(index).toLowerCase().toUpperCase().toLowerCase()
  }
  return folded
}

/** Makes a text of a pattern ready to be compared. */
export function looseText(text: string): LooseText {
  const forms = text.split('').map((unit) => ({ lower: unit.toLowerCase(), upper: unit.toUpperCase() }))
  return { folded: foldCase(text), ascii: isAscii(text), forms }
}

/** Whether all of `value`, its start, or its end is what `loose` stands for. */
export function matchesLoosely(loose: LooseText, value: string, place: 'whole' | 'start' | 'end'): boolean {
  if (loose.ascii && isAscii(value)) {
    const folded = value.toLowerCase()
    if (place === 'whole') return folded === loose.folded
    return place === 'start' ? folded.startsWith(loose.folded) : folded.endsWith(loose.folded)
  }
  return place === 'end' ? endsLoosely(loose, value) : startsLoosely(loose, value, place === 'whole')
}

function startsLoosely({ forms }: LooseText, value: string, whole: boolean): boolean {
  let ends = new Set([0])
  for (const { lower, upper } of forms) {
    const next = new Set<number>()
    for (const end of ends) {
      if (value.startsWith(lower, end)) next.add(end + lower.length)
      if (value.startsWith(upper, end)) next.add(end + upper.length)
    }
    ends = next
  }
  return whole ? ends.has(value.length) : ends.size > 0
}

function endsLoosely({ forms }: LooseText, value: string): boolean {
  let starts = new Set([value.length])
  for (const { lower, upper } of forms.toReversed()) {
    const next = new Set<number>()
    for (const start of starts) {
      for (const form of [lower, upper]) {
        if (start >= form.length && value.startsWith(form, start - form.length)) next.add(start - form.length)
      }
    }
    starts = next
  }
  return starts.size > 0
}
