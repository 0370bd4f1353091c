import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { MoveView } from '../../../src/cli/migrate/move-view.ts'
import { Output } from '../../../src/cli/output.ts'

function viewOn({ isTTY }: { readonly isTTY: boolean }) {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 200 })
  const output = new Output({ stdout: new PassThrough(), stderr, json: false, verbose: false })
  const clock = { nowMs: 0 }
  const view = new MoveView(output, { now: () => clock.nowMs })
  const show = (nowMs: number, ...progress: Parameters<MoveView['show']>) => {
    clock.nowMs = nowMs
    view.show(...progress)
    return String(stderr.read() ?? '')
  }
  return { view, show }
}

test('the time left is reckoned by what this run has done, not by what an earlier one had', () => {
  const { show } = viewOn({ isTTY: false })
  show(0, { phase: 'records', done: 0, fraction: 0.5 })
  expect(show(10_000, { phase: 'records', done: 100, fraction: 0.75 })).toBe(
    ' 75%  100 records  10/s  10 s left\n',
  )
})

test('each phase is reckoned by itself', () => {
  const { show } = viewOn({ isTTY: false })
  show(0, { phase: 'records', done: 0, fraction: 0.9 })
  show(60_000, { phase: 'records', done: 100, fraction: 1 })
  show(60_000, { phase: 'verifying', done: 10, fraction: 0.1 })
  expect(show(70_000, { phase: 'verifying', done: 50, fraction: 0.5 })).toBe(
    ' 50%  50 records verified  5/s  10 s left\n',
  )
})

test('a phase whose size is not known has no share', () => {
  const { show } = viewOn({ isTTY: true })
  show(0, { phase: 'ids', done: 0 })
  expect(show(1000, { phase: 'ids', done: 300 })).toContain('300 ids  300/s')
})
