import { type AddressBlock, blockStart, readAddress } from './ip-address.ts'
import { type LooseText, matchesLoosely } from './letter-case.ts'
import { LongNumber } from './long-number.ts'
import { matchesRoutingKey } from './routing-key.ts'
import { matchesWildcard } from './wildcard.ts'

/** A value of an event that a field can have: what JSON has besides arrays and objects. */
export type Leaf = string | number | boolean | null | LongNumber

/** One thing that a pattern accepts for a field. */
export type Test =
  | { readonly kind: 'equals'; readonly value: string | number | boolean | null }
  | { readonly kind: 'number-text'; readonly text: string }
  | (AddressBlock & { readonly kind: 'address' })
  | { readonly kind: 'prefix' | 'suffix'; readonly text: string }
  | { readonly kind: 'loose'; readonly place: 'whole' | 'start' | 'end'; readonly loose: LooseText }
  | { readonly kind: 'wildcard'; readonly pieces: readonly string[] }
  | { readonly kind: 'routing-key'; readonly words: readonly string[] }
  | Range
  | { readonly kind: 'exists' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'none-of'; readonly values: ReadonlySet<string | number> }
  | { readonly kind: 'no-match'; readonly tests: readonly Test[] }

/** The numbers between two bounds, each of which belongs to them unless it is open. */
export interface Range {
  readonly kind: 'range'
  readonly low: number
  readonly lowOpen: boolean
  readonly high: number
  readonly highOpen: boolean
}

/** Whether a value that an event has passes; `absent` passes none, because it is about values that are not there. */
export function passes(test: Test, value: Leaf): boolean {
  switch (test.kind) {
    case 'equals':
      return value === test.value || (value instanceof LongNumber && equals(value, test.value))
    case 'exists':
      return true
    case 'absent':
      return false
    case 'none-of':
      return !test.values.has((value instanceof LongNumber && value.isExact ? value.value : value) as string)
    case 'no-match':
      return !test.tests.some((test) => passes(test, value))
    case 'range':
      if (value instanceof LongNumber) return within(test, value.value) && value.isExact
      return typeof value === 'number' && within(test, value)
    case 'number-text':
      return value instanceof LongNumber && value.text === test.text
    default:
      return typeof value === 'string' && passesText(test, value)
  }
}

function equals(long: LongNumber, value: unknown): boolean {
  return long.value === value && long.isExact
}

function within({ low, lowOpen, high, highOpen }: Range, value: number): boolean {
  return (lowOpen ? value > low : value >= low) && (highOpen ? value < high : value <= high)
}

type TextTest = Extract<
  Test,
  { readonly kind: 'address' | 'prefix' | 'suffix' | 'loose' | 'wildcard' | 'routing-key' }
>

function passesText(test: TextTest, value: string): boolean {
  switch (test.kind) {
    case 'prefix':
      return value.startsWith(test.text)
    case 'suffix':
      return value.endsWith(test.text)
    case 'loose':
      return matchesLoosely(test.loose, value, test.place)
    case 'wildcard':
      return matchesWildcard(test.pieces, value)
    case 'routing-key':
      return matchesRoutingKey(test.words, value)
    case 'address': {
      const address = readAddress(value)
      return address !== undefined && blockStart(address, test.freeBits) === test.start
    }
  }
}
