import { expect, test } from 'vitest'
import {
  errorCodes,
  isMillraceError,
  MillraceError,
  messageOf,
  TerminalError,
} from '../../src/core/errors.ts'

test('an error says what, where and what to do, and keeps its cause and facts', () => {
  const cause = new Error('disk')
  const error = new MillraceError('LOG_FULL', 'Full.', {
    where: 'topic a',
    fix: 'Make room.',
    cause,
    facts: { maxBytes: 1 },
  })
  expect(error).toMatchObject({
    name: 'MillraceError',
    code: 'LOG_FULL',
    message: 'Full.',
    where: 'topic a',
    fix: 'Make room.',
    facts: { maxBytes: 1 },
    retryable: true,
    status: 507,
  })
  expect(error.cause).toBe(cause)
})

test('an error without details has none, and no cause', () => {
  const error = new MillraceError('NOT_FOUND', 'Nothing there.')
  expect(error).toMatchObject({ where: undefined, fix: undefined, facts: {}, retryable: false })
  expect('cause' in error).toBe(false)
})

test('a terminal error is never retryable', () => {
  const error = new TerminalError('No such customer.', { where: 'customer 7' })
  expect(error).toMatchObject({
    name: 'TerminalError',
    code: 'TERMINAL',
    retryable: false,
    where: 'customer 7',
  })
  expect(isMillraceError(error, 'TERMINAL')).toBe(true)
})

test('isMillraceError tells ours from others, and codes from one another', () => {
  const error = new MillraceError('NOT_FOUND', 'Nothing there.')
  expect(isMillraceError(error)).toBe(true)
  expect(isMillraceError(error, 'NOT_FOUND')).toBe(true)
  expect(isMillraceError(error, 'LOG_FULL')).toBe(false)
  expect(isMillraceError({ code: 'NOT_FOUND' })).toBe(false)
})

test.each([
  [new Error('plain'), 'plain'],
  ['text', 'text'],
  [undefined, 'undefined'],
  [null, 'null'],
  [7, '7'],
  [Object.create(null), 'a value that has no text'],
  [Symbol('s'), 'Symbol(s)'],
])('messageOf gives a message for anything that is thrown', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message)
})

test.each(Object.entries(errorCodes))(
  '%s is words in capitals, and retryable only where the request is not to blame',
  (code, entry) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
    expect(entry.status).toBeGreaterThanOrEqual(400)
    expect(entry.status).toBeLessThan(600)
    if (entry.retryable) expect(entry.status === 429 || entry.status >= 500).toBe(true)
  },
)
