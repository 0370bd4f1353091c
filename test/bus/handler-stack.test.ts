import { afterEach, describe, expect, test } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { stackUpToHandler } from '../../src/bus/handler-stack.ts'
import { bench, Counted, publish } from './support.ts'

/** The stack of the dead letter of a handler that fails at once. */
async function stackOfDeadLetter(fail: () => void): Promise<string | undefined> {
  const b = bench()
  const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, fail)
  const process = await b.start({ handlers: [handler] })
  await publish(process, 'a', 1)
  await b.settle(process)
  const [letter] = await b.deadLetters()
  return letter?.error.stack
}

function breaks(): void {
  throw new RangeError('is broken')
}

/** The lines of a stack that name this file, without where in it. */
function withoutPlaces(stack: string | undefined): string[] {
  return (stack ?? '')
    .split('\n')
    .map((line) => line.trim().replace(/ \(.*handler-stack\.test\.ts:\d+:\d+\)$/, ''))
}

describe('the stack that is kept of a failure', () => {
  const usual = Error.prepareStackTrace
  afterEach(() => {
    Error.prepareStackTrace = usual as NonNullable<typeof usual>
  })

  test('goes from where it was thrown up to the handler', async () => {
    const stack = await stackOfDeadLetter(() => breaks())
    expect(withoutPlaces(stack)).toEqual([
      'RangeError: is broken',
      'at breaks',
      expect.stringContaining('at'),
    ])
  })

  test('is put together only so far where Node.js would put it together', async () => {
    // As Node.js calls its own, in place of which test runners have theirs.
    Error.prepareStackTrace = function ErrorPrepareStackTrace() {
      return 'the whole'
    }
    const stack = await stackOfDeadLetter(() => breaks())
    expect(withoutPlaces(stack)).toEqual([
      'RangeError: is broken',
      'at breaks',
      expect.stringContaining('at'),
    ])
    expect(stackUpToHandler(Object.assign(new Error('x'), { name: Symbol('y') }))).toMatch(
      /^<error>\n {4}at /,
    )
  })

  test('is left as it is by a look that came before', async () => {
    let seen: string | undefined
    const kept = await stackOfDeadLetter(() => {
      const error = new RangeError('is broken')
      seen = error.stack
      throw error
    })
    expect(seen).toContain('at runAttempt (')
    expect(seen?.startsWith(`${kept}\n`)).toBe(true)
  })

  test('is all there is where no handler was called, as without us', () => {
    const made = () => new TypeError('x')
    const [ours, usually] = [made, made].map((make) => make())
    expect(stackUpToHandler(ours as Error)?.replace(/:\d+:\d+/g, '')).toBe(
      usually?.stack?.replace(/:\d+:\d+/g, ''),
    )
  })

  test('is put together as whoever has another way of it wants', () => {
    Error.prepareStackTrace = () => 'in another way'
    expect(stackUpToHandler(new Error('x'))).toBe('in another way')
  })

  test('leaves the way in which others are put together alone', () => {
    stackUpToHandler(new Error('x'))
    expect(Error.prepareStackTrace).toBe(usual)
  })
})
