import { describe, expect, it } from 'vitest'
import { PendingSteps } from '../../src/testing/pending-steps.ts'
import { turn } from '../../src/testing/turn.ts'

describe('PendingSteps', () => {
  it('lets a step happen only when it is granted, in any order', async () => {
    const steps = new PendingSteps()
    const happened: string[] = []
    for (const name of ['append:apply', 'read:apply']) {
      steps
        .of('p1')
        .step(name)
        .then(
          () => happened.push(name),
          () => {},
        )
    }
    await turn()
    expect(happened).toEqual([])
    const [append, read] = steps.all
    if (append === undefined || read === undefined) throw new Error('there should be two steps')
    steps.grant(read)
    await turn()
    steps.grant(append)
    await turn()
    expect(happened).toEqual(['read:apply', 'append:apply'])
    expect(steps.all).toEqual([])
  })

  it('forgets the steps of a process that crashed, those before and those after', () => {
    const steps = new PendingSteps()
    for (const process of ['p1', 'p2'])
      steps
        .of(process)
        .step('read:apply')
        .then(
          () => {},
          () => {},
        )
    steps.drop('p1')
    steps
      .of('p1')
      .step('read:acknowledge')
      .then(
        () => {},
        () => {},
      )
    expect(steps.all.map(({ process }) => process)).toEqual(['p2'])
  })
})
