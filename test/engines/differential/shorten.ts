import type { Step } from './operations.ts'

/** Runs steps; gives how the engines differ, if they do. */
export type Run = (steps: readonly Step[]) => Promise<string | undefined>

/** Leaves out steps, and calls of steps, that a difference does not need. Runs at most `budget` times. */
export async function shorten(steps: readonly Step[], run: Run, budget = 80): Promise<readonly Step[]> {
  let left = budget
  const differs = async (candidate: readonly Step[]) => {
    left -= 1
    return left >= 0 && (await run(candidate)) !== undefined
  }
  let best = await fewer(steps, differs)
  for (const [index, step] of best.entries()) {
    if (step.kind !== 'kill') continue
    const withCalls = (calls: typeof step.calls) => best.with(index, { ...step, calls })
    best = withCalls(await fewer(step.calls, (calls) => differs(withCalls(calls))))
  }
  return best
}

/** Leaves out ever smaller parts of a list, from its end on, for as long as `holds`. */
async function fewer<T>(list: readonly T[], holds: (part: readonly T[]) => Promise<boolean>) {
  let best = list
  for (let size = Math.ceil(list.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let end = best.length; end > 0; end -= size) {
      const part = [...best.slice(0, Math.max(0, end - size)), ...best.slice(end)]
      if (part.length < best.length && (await holds(part))) best = part
    }
  }
  return best
}
