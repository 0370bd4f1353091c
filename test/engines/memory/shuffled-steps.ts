import type { StepScheduler } from '../../../src/engines/memory/index.ts'
import { SeededRandom } from '../../../src/testing/random.ts'
import { turn } from '../../../src/testing/turn.ts'

/** Takes one waiting step after another, by chance, so that calls overtake one another wherever they may. */
export function shuffledSteps(seed: number): StepScheduler {
  const random = new SeededRandom(seed, 'shuffled steps')
  const waiting: (() => void)[] = []
  const takeOne = async () => {
    await turn()
    const [grant] = waiting.splice(random.below(waiting.length), 1)
    grant?.()
  }
  return {
    step: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        void takeOne()
      }),
  }
}
