import { describe, expect, it } from 'vitest'
import { VirtualTime } from '../../src/testing/virtual-time.ts'

describe('VirtualTime', () => {
  it('fires timers by their time, and those of one time in the order in which they were set', () => {
    const time = new VirtualTime()
    const fired: string[] = []
    for (const [name, afterMs] of [
      ['late', 20],
      ['first', 5],
      ['second', 5],
      ['now', 0],
    ] as const) {
      time.after(afterMs, 'test', () => fired.push(`${name} at ${time.elapsedMs}`))
    }
    while (time.fireNext() !== undefined);
    expect(fired).toEqual(['now at 0', 'first at 5', 'second at 5', 'late at 20'])
  })

  it('never fires a timer that was cancelled, or whose owner was dropped', () => {
    const time = new VirtualTime()
    const fired: string[] = []
    time.after(1, 'a', () => fired.push('cancelled')).cancel()
    time.after(2, 'a', () => fired.push('dropped'))
    time.after(3, 'b', () => fired.push('kept'))
    time.drop('a')
    expect(time.next()?.atMs).toBe(3)
    time.fireNext()
    expect(time.fireNext()).toBeUndefined()
    expect(fired).toEqual(['kept'])
  })

  it('takes a time that is not positive as now', () => {
    const time = new VirtualTime()
    time.after(10, 'test', () => {})
    time.fireNext()
    time.after(-5, 'test', () => {})
    time.fireNext()
    expect(time.elapsedMs).toBe(10)
  })
})
