import { expect, test } from 'vitest'
import { firstSentence, markdownOf } from '../../scripts/reference/words.ts'

const codes = new Set(['LOG_FULL'])
const addresses: Readonly<Record<string, string>> = { start: 'millrace.md#start', inner: '' }
const markdown = (docstring: string) => markdownOf(docstring, (name) => addresses[name], codes)

test('a link leads to its page; to what has no page there is none, and one that leads nowhere stays to be seen', () => {
  expect(markdown('As {@link start}, {@link inner}, {@link nothing}.')).toBe(
    'As [`start`](millrace.md#start), `inner`, {@link nothing}.',
  )
})

test('the code of an error leads to its heading, and other capitals do not', () => {
  expect(markdown('Throws `LOG_FULL`, not `SIGTERM`.')).toBe(
    'Throws [`LOG_FULL`](../errors.md#log_full), not `SIGTERM`.',
  )
})

test('lines of a paragraph flow; paragraphs and items of a list stay apart; parameters are a list', () => {
  expect(markdown('One\nline.\n\nTwo:\n- a\n- b\n@param name what it\n  is called')).toBe(
    'One line.\n\nTwo:\n- a\n- b\n\n- `name`: what it is called',
  )
})

test('the first sentence ends at its full stop, not within a name', () => {
  expect(firstSentence('Reads `app.ts` at\nonce. Then more.')).toBe('Reads `app.ts` at once.')
})
