import { describe, expect, it } from 'vitest'
import { ProcessCrashed, SimulatedRuntime } from '../../src/testing/simulated-runtime.ts'
import { turn } from '../../src/testing/turn.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'

function runtimeOf(time: VirtualTime, name = 'p1.1', failed: string[] = []): SimulatedRuntime {
  return new SimulatedRuntime({
    time,
    seed: 1,
    name,
    epochMs: 1_000,
    onTaskFailed: (task, error) => failed.push(`${task}: ${String(error)}`),
  })
}

describe('SimulatedRuntime', () => {
  it('sleeps in elapsed time, whatever its clock does', async () => {
    const time = new VirtualTime()
    const runtime = runtimeOf(time)
    const sleeping = runtime.sleep(50).then(() => runtime.now())
    runtime.jump(-500)
    time.fireNext()
    expect(await sleeping).toBe(1_000 + 50 - 500)
  })

  it('rejects a sleep with the reason of its signal, and forgets its timer', async () => {
    const time = new VirtualTime()
    const controller = new AbortController()
    const sleeping = runtimeOf(time).sleep(50, controller.signal)
    controller.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    expect(time.next()).toBeUndefined()
  })

  it('gives ids that repeat for a name and are unique otherwise', () => {
    const ids = (name: string) => {
      const runtime = runtimeOf(new VirtualTime(), name)
      return Array.from({ length: 3 }, () => runtime.id())
    }
    expect(ids('p1.1')).toEqual(ids('p1.1'))
    expect(new Set([...ids('p1.1'), ...ids('p1.2')]).size).toBe(6)
    expect(ids('p1.1')[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('lets nothing go on after a crash: sleeps never settle and calls throw', async () => {
    const time = new VirtualTime()
    const runtime = runtimeOf(time)
    let woken = 0
    const wake = () => {
      woken += 1
    }
    runtime.sleep(1).then(wake, wake)
    runtime.crash()
    runtime.sleep(1).then(wake, wake)
    expect(time.fireNext()).toBeUndefined()
    await turn()
    expect(woken).toBe(0)
    expect(() => runtime.now()).toThrow(ProcessCrashed)
    expect(() => runtime.random()).toThrow(ProcessCrashed)
    expect(() => runtime.id()).toThrow(ProcessCrashed)
    expect(() => runtime.spawn('task', async () => {})).toThrow(ProcessCrashed)
  })

  it('reports a background task that rejects, unless the process has crashed by then', async () => {
    const failed: string[] = []
    const living = runtimeOf(new VirtualTime(), 'p1.1', failed)
    living.spawn('first', () => Promise.reject(new Error('defect')))
    await turn()
    const crashed = runtimeOf(new VirtualTime(), 'p2.1', failed)
    crashed.spawn('second', () => Promise.reject(new Error('defect')))
    crashed.crash()
    await turn()
    expect(failed).toEqual(['first: Error: defect'])
  })
})
