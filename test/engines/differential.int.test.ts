import { afterAll, describe, it } from 'vitest'
import { endCourses, runCourse } from './differential/course.ts'
import { CourseMaker, type Step } from './differential/operations.ts'
import { shorten } from './differential/shorten.ts'

const chosen = process.env.DIFFERENTIAL_SEED
const seeds = chosen === undefined ? Array.from({ length: 36 }, (_, index) => index + 1) : [Number(chosen)]
const kills = 3
const timeLimitMs = 180_000

afterAll(endCourses)

describe('LMDB answers as the memory engine does, also when its process is killed and comes back', () => {
  it.for(seeds)('in the course of seed %d', { timeout: timeLimitMs }, async (seed) => {
    const steps = new CourseMaker(seed).make(kills)
    const difference = await runCourse(seed, steps)
    if (difference === undefined) return
    const short = await shorten(steps, (some) => runCourse(seed, some))
    throw new Error(report(seed, difference, short))
  })
})

function report(seed: number, difference: string, steps: readonly Step[]): string {
  const lines = steps.map((step) =>
    JSON.stringify(step)
      .replaceAll(/x{9,}/g, 'x…')
      .replaceAll(/(long)+/g, 'long…'),
  )
  return `${difference}
Replay it: DIFFERENTIAL_SEED=${seed} npx vitest run test/engines/differential.int.test.ts
The shortest course found that differs:
${lines.join('\n')}`
}
