/**
 * Goal: whatever handlers, publishers and operators do, right or wrong, no history breaks a guarantee, and whoever does something
 * wrong is told so. Method: seeds of an application whose handlers fail in every way there is, with callers from outside and an
 * operator who redrives and discards; each seed twice.
 */
import { describe, expect, it } from 'vitest'
import { simulateDamaged } from '../../scripts/torture/courses/damaged.ts'
import { simulateOperated } from '../../scripts/torture/courses/operated.ts'
import { simulateVaried } from '../../scripts/torture/courses/varied.ts'
import { type DeadLetter, deadLetterType } from '../../src/bus/dead-letter.ts'

describe('the guarantees hold', () => {
  it.each([1, 11])('whatever handlers and callers do, seeds from %i', { timeout: 120_000 }, async (first) => {
    const sums = { handedOn: 0, letters: 0, discarded: 0, types: new Set<string>() }
    for (let seed = first; seed < first + 10; seed += 1) {
      const { history } = await simulateVaried(seed, { steps: 1_000 })
      sums.letters += history.deadLetters.length
      for (const { event } of history.log) {
        sums.types.add(event.type)
        if (event.millracekey !== undefined) sums.handedOn += 1
        if (event.type === 'millrace.discard') sums.discarded += 1
      }
    }
    expect(sums.handedOn).toBeGreaterThan(20)
    expect(sums.letters).toBeGreaterThan(50)
    expect(sums.discarded).toBeGreaterThan(3)
    expect([...sums.types]).toEqual(expect.arrayContaining(['undeclared', 'varied.paper', 'varied-second']))
  })

  it('when records are damaged where they are read', { timeout: 120_000 }, async () => {
    let damaged = 0
    for (let seed = 1; seed <= 15; seed += 1) {
      const { history } = await simulateDamaged(seed, { twice: false })
      damaged += history.log.filter(({ event: { type, data } }) => {
        return type === deadLetterType && (data as DeadLetter).event === null
      }).length
    }
    expect(damaged).toBeGreaterThan(10)
  })

  it('whatever is done to dead letters', { timeout: 120_000 }, async () => {
    let redriven = 0
    for (let seed = 1; seed <= 10; seed += 1) {
      const { history } = await simulateOperated(seed, { twice: false })
      redriven += history.log.filter(({ event }) => event.type === 'millrace.redrive').length
    }
    expect(redriven).toBeGreaterThan(10)
  })
})
