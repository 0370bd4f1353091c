/**
 * Goal: no history that faults of one kind can cause breaks a guarantee. Method: three processes of the probe application
 * over one log in virtual time; the seed chooses every interleaving of their port calls and every fault; then all is left
 * to settle, and the history is judged. Every tenth seed runs twice and must take the same course.
 */
import { describe, expect, it } from 'vitest'
import { simulateProbe } from './simulate-probe.ts'

const timeoutMs = 120_000

describe('the guarantees hold', () => {
  it('when nothing fails', { timeout: timeoutMs }, async () => {
    const { thrown, deadLetters, crashes } = await simulateProbe(1, 10, [])
    expect({ thrown, deadLetters, crashes }).toEqual({ thrown: 0, deadLetters: 0, crashes: 0 })
  })

  it('when processes crash between any two steps', { timeout: timeoutMs }, async () => {
    const { crashes } = await simulateProbe(1, 60, { crash: 0.006, delay: 0.03 })
    expect(crashes).toBeGreaterThan(60)
  })

  it('when processes are stopped and started', { timeout: timeoutMs }, async () => {
    await simulateProbe(1, 40, { stop: 0.006, delay: 0.03, handler: 0.1 })
  })

  it('when processes lose their claims before they know', { timeout: timeoutMs }, async () => {
    await simulateProbe(1, 60, { session: 0.01, delay: 0.03 })
  })

  it('when port calls fail, applied or not', { timeout: timeoutMs }, async () => {
    await simulateProbe(1, 60, { storage: 0.02, delay: 0.03 })
  })

  it('when handlers throw, give up, are slow or outlast their time', { timeout: timeoutMs }, async () => {
    const { thrown, deadLetters, parked } = await simulateProbe(1, 60, { handler: 0.4 })
    expect(thrown).toBeGreaterThan(500)
    expect(deadLetters).toBeGreaterThan(50)
    expect(parked).toBeGreaterThan(5)
  })

  it('when clocks jump', { timeout: timeoutMs }, async () => {
    await simulateProbe(1, 40, { clock: 0.01, delay: 0.03, handler: 0.1 })
  })
})
