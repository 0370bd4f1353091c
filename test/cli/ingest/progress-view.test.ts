import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { ProgressView } from '../../../src/cli/ingest/progress-view.ts'
import { Output } from '../../../src/cli/output.ts'
import { progressText } from '../../../src/cli/progress-line.ts'

describe('progress in words', () => {
  test('has the share, the lines, their rate and the time left', () => {
    const text = progressText({ done: 5000, what: 'lines', elapsedMs: 2000, fraction: 0.25, bar: false })
    expect(text).toBe(' 25%  5000 lines  2500/s  6 s left')
  })

  test('draws a bar in proportion', () => {
    const text = progressText({ done: 1, what: 'lines', elapsedMs: 1000, fraction: 0.5, bar: true })
    expect(text).toMatch(/^█{12}░{12} {2} 50%/)
  })

  test.each([
    [100_000, '1 min 40 s left'],
    [7_300_000, '2 h 1 min left'],
  ])('says long times in minutes and hours', (leftMs, expected) => {
    expect(progressText({ done: 1, what: 'lines', elapsedMs: leftMs, fraction: 0.5, bar: false })).toContain(
      expected,
    )
  })

  test('of input whose size is not known has no share and no time left', () => {
    expect(progressText({ done: 10, what: 'lines', elapsedMs: 1000, fraction: undefined, bar: true })).toBe(
      '10 lines  10/s',
    )
  })
})

const takenAway = '\r\x1b[K'

function viewOn({ isTTY, json = false }: { readonly isTTY: boolean; readonly json?: boolean }) {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 })
  const output = new Output({ stdout: new PassThrough(), stderr, json, verbose: false })
  const clock = { nowMs: 0 }
  const source = { totalBytes: 100, readBytes: () => 50 }
  const view = new ProgressView(output, { now: () => clock.nowMs }, source)
  const show = (nowMs: number) => {
    clock.nowMs = nowMs
    view.show({ lines: 1, added: 1, known: 0, skipped: 0 })
    return String(stderr.read() ?? '')
  }
  return { view, show, written: () => String(stderr.read() ?? '') }
}

describe('the view of progress', () => {
  test('on a terminal redraws one line, and takes it away at the end', () => {
    const { view, show, written } = viewOn({ isTTY: true })
    expect(show(50)).toBe('')
    const drawn = show(200)
    expect(drawn.startsWith(takenAway)).toBe(true)
    expect(drawn.slice(takenAway.length)).toMatch(/^█+░+ {2} 50%[^\n]*$/)
    view.end()
    expect(written()).toBe(takenAway)
  })

  test('elsewhere writes a plain line now and then', () => {
    const { show } = viewOn({ isTTY: false })
    expect(show(4000)).toBe('')
    expect(show(6000)).toMatch(/^ 50% {2}1 lines[^\r]*\n$/)
  })

  test('with --json writes nothing', () => {
    expect(viewOn({ isTTY: true, json: true }).show(60_000)).toBe('')
  })
})
