import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { errorLine, Output, table } from '../../src/cli/output.ts'
import { MillraceError } from '../../src/core/errors.ts'

const error = new MillraceError('DATA_INVALID', 'It does not\nmatch.', {
  where: 'data.n',
  fix: 'Send a number.',
  cause: new Error('deep down'),
})

function outputOf(options: { readonly json?: boolean; readonly verbose?: boolean }) {
  const stderr = new PassThrough()
  const output = new Output({
    stdout: new PassThrough(),
    stderr,
    json: options.json ?? false,
    verbose: options.verbose ?? false,
  })
  return { output, written: () => String(stderr.read() ?? '') }
}

test('an error is one line: code, message, where, fix', () => {
  expect(errorLine(error)).toBe('DATA_INVALID: It does not match. (data.n) Send a number.')
  expect(errorLine(new TypeError('wrong'))).toBe('TypeError: wrong')
  expect(errorLine('thrown text')).toBe('thrown text')
})

test('off a terminal nothing is coloured', () => {
  const { output, written } = outputOf({})
  output.error(error)
  expect(written()).toBe('error: DATA_INVALID: It does not match. (data.n) Send a number.\n')
  expect(output.style('red', 'plain')).toBe('plain')
})

test('with --verbose the stack and the cause follow', () => {
  const { output, written } = outputOf({ verbose: true })
  output.error(error)
  expect(written()).toMatch(/\n {4}at [\s\S]*Caused by: Error: deep down/)
})

test('with --json an error is an object, its stack only with --verbose', () => {
  const short = outputOf({ json: true })
  short.output.error(error)
  expect(JSON.parse(short.written())).toEqual({
    error: { code: 'DATA_INVALID', message: 'It does not\nmatch.', where: 'data.n', fix: 'Send a number.' },
  })
  const long = outputOf({ json: true, verbose: true })
  long.output.warning(error)
  expect(JSON.parse(long.written())).toMatchObject({
    warning: { stack: expect.stringContaining('deep down') },
  })
})

test('printing waits for a reader that is slow, and not for one that has gone', async () => {
  const stdout = new PassThrough({ highWaterMark: 4 })
  const output = new Output({ stdout, stderr: new PassThrough(), json: false, verbose: false })
  let printed = false
  const first = output.print('a long line').then(() => {
    printed = true
  })
  await Promise.resolve()
  expect(printed).toBe(false)
  stdout.resume()
  await first
  stdout.pause()
  const second = output.print('another long line')
  stdout.destroy()
  await second
})

test('a table has its columns under one another, numbers to the right', () => {
  expect(
    table([
      ['name', 'count'],
      ['a', 5],
      ['longer', 12345],
    ]),
  ).toEqual(['name    count', 'a           5', 'longer  12345'])
})
