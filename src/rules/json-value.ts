import type { CelValue } from '@bufbuild/cel'
import { isCelList, isCelMap, isCelUint } from '@bufbuild/cel'

/** What JSON can hold. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue }

/** How many characters and values a result of an expression may have in all. */
export const maxValueSize = 4 * 1024 * 1024

/**
 * A value of CEL as JSON: integers become numbers, timestamps and durations their text as protobuf's JSON has it, bytes base64.
 * Throws a `RangeError` for what JSON cannot hold: an integer beyond 2^53, a number that is not finite, a type; and for more than
 * {@link maxValueSize}, because a short expression can name one large value many times.
 */
export function jsonValueOf(value: CelValue): JsonValue {
  return converted(value, { left: maxValueSize })
}

function converted(value: CelValue, size: { left: number }): JsonValue {
  size.left -= typeof value === 'string' || value instanceof Uint8Array ? value.length + 1 : 1
  if (size.left < 0) throw new RangeError('the value is larger than an event can be')
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return finite(value)
  if (typeof value === 'bigint') return safeInteger(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isCelUint(value)) return safeInteger(value.value)
  if (isCelList(value)) return Array.from(value, (element) => converted(element, size))
  if (isCelMap(value)) {
    return Object.fromEntries([...value].map(([name, member]) => [nameOf(name), converted(member, size)]))
  }
  if ('message' in value) return textOfMessage(value.message)
  throw new RangeError(`a value of type ${String(value)} cannot be written as JSON`)
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value
  throw new RangeError(`${value} cannot be written as JSON`)
}

function safeInteger(value: bigint): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new RangeError(`the integer ${value} is beyond what JSON numbers hold exactly`)
}

function nameOf(name: unknown): string {
  return isCelUint(name) ? String(name.value) : String(name)
}

function textOfMessage(message: unknown): string {
  const { $typeName, seconds, nanos } = message as { $typeName: string; seconds: bigint; nanos: number }
  if ($typeName === 'google.protobuf.Timestamp') {
    const whole = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)
    return `${whole}${fraction(nanos)}Z`
  }
  if ($typeName === 'google.protobuf.Duration') {
    const sign = seconds < 0n || nanos < 0 ? '-' : ''
    const whole = seconds < 0n ? -seconds : seconds
    return `${sign}${whole}${fraction(Math.abs(nanos))}s`
  }
  throw new RangeError(`a message of type ${$typeName} cannot be written as JSON`)
}

function fraction(nanos: number): string {
  if (nanos === 0) return ''
  return `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`
}
