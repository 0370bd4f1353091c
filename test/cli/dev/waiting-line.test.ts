import { expect, test } from 'vitest'
import { unavailable, WaitingLine, waitingBounds } from '../../../src/cli/dev/waiting-line.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

const never = new AbortController().signal

test('requests wait while it is held, and go on in their order', async () => {
  const line = new WaitingLine<string>(new ManualRuntime())
  line.open('one')
  expect(await line.enter(never)).toBe('one')
  line.hold()
  const order: string[] = []
  const waiting = ['a', 'b', 'c'].map((name) => line.enter(never).then((target) => order.push(name + target)))
  expect(order).toEqual([])
  line.open('two')
  await Promise.all(waiting)
  expect(order).toEqual(['atwo', 'btwo', 'ctwo'])
})

test('one request more than may wait is refused at once, and there is room again when one has gone', async () => {
  const line = new WaitingLine<string>(new ManualRuntime())
  line.hold()
  const gone = new AbortController()
  const first = line.enter(gone.signal)
  const others = Array.from({ length: waitingBounds.requests - 1 }, () => line.enter(never))
  await expect(line.enter(never)).rejects.toMatchObject({
    code: 'APP_UNAVAILABLE',
    retryable: true,
    status: 503,
  })
  gone.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  const late = line.enter(never)
  line.open('two')
  expect(await late).toBe('two')
  expect(new Set(await Promise.all(others))).toEqual(new Set(['two']))
})

test('a request that has waited long enough is refused', async () => {
  const runtime = new ManualRuntime()
  const line = new WaitingLine<string>(runtime)
  line.hold()
  const waiting = line.enter(never)
  const refused = expect(waiting).rejects.toMatchObject({ code: 'APP_UNAVAILABLE' })
  runtime.advance(waitingBounds.waitMs - 1)
  runtime.advance(1)
  await refused
})

test('where nothing can be waited for, all are refused with the reason', async () => {
  const line = new WaitingLine<string>(new ManualRuntime())
  line.hold()
  const waiting = expect(line.enter(never)).rejects.toThrow('it is broken')
  line.refuse(unavailable('it is broken'))
  await waiting
  await expect(line.enter(never)).rejects.toThrow('it is broken')
  line.hold()
  const held = line.enter(never)
  line.open('two')
  expect(await held).toBe('two')
})
