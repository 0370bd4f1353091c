import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { stopRequest } from '../../src/cli/stop-request.ts'

function process() {
  const exits: number[] = []
  const emitter = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) })
  let nowMs = 0
  const stop = stopRequest(emitter, { now: () => nowMs })
  const send = (signal: string, atMs: number) => {
    nowMs = atMs
    emitter.emit(signal)
  }
  return { emitter, stop, exits, send }
}

test('the first signal asks to stop, a second one ends the process at once', async () => {
  const { stop, exits, send } = process()
  expect(stop.signal.aborted).toBe(false)
  send('SIGTERM', 1000)
  await stop.requested
  expect(stop.signal.aborted).toBe(true)
  expect(exits).toEqual([])
  send('SIGINT', 5000)
  expect(exits).toEqual([1])
})

test('a signal that the terminal and npm both sent counts once', () => {
  const { exits, send } = process()
  send('SIGINT', 1000)
  send('SIGINT', 1020)
  expect(exits).toEqual([])
})

test('after forgetting, signals are left to the process', () => {
  const { emitter, stop } = process()
  stop.forget()
  expect(emitter.eventNames()).toEqual([])
})
