import { Matcher, type PatternInput, parsedOf } from './matcher.ts'
import { parseFilter } from './parse-pattern.ts'
import type { ParsedPattern } from './parsed-pattern.ts'
import type { EventInput } from './read-event.ts'

/** A pattern that was checked and made ready. */
export interface CompiledPattern {
  /** What a {@link Matcher} takes of it. */
  readonly parsed: ParsedPattern
  /**
   * Whether an event matches. Throws `JSON_INVALID` for a text that is seen not to be JSON, and `EVENT_INVALID` for what is
   * no JSON object; see {@link Matcher.match} for what of a text is read.
   */
  matches(event: EventInput): boolean
}

/**
 * Makes an event pattern ready: in the language of Amazon EventBridge, as JSON text or as what `JSON.parse` makes of it.
 * Throws `PATTERN_INVALID` with the path of what is wrong.
 */
export function compilePattern(pattern: PatternInput): CompiledPattern {
  return compiled(parsedOf(pattern))
}

/**
 * Like {@link compilePattern}, but `type` and `subject` may also be routing keys: texts of words with dots between them, where
 * `*` stands for one word and `>`, at the end, for one or more: `{ type: 'order.*', data: { region: ['eu'] } }`.
 */
export function compileFilter(filter: PatternInput): CompiledPattern {
  return compiled(parseFilter(filter))
}

function compiled(parsed: ParsedPattern): CompiledPattern {
  let matcher: Matcher<true> | undefined
  return Object.freeze({
    parsed,
    matches(event: EventInput): boolean {
      matcher ??= new Matcher<true>().add({ parsed }, true)
      return matcher.match(event).length > 0
    },
  })
}
