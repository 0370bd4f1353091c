import type { FaultKind, FaultRates } from './faults.ts'
import type { SimulationOutcome, SimulationSettings } from './simulation.ts'

/** A course that fails, and with what settings. */
export interface FailingCourse {
  readonly settings: SimulationSettings
  readonly outcome: SimulationOutcome
}

/** Runs settings again; undefined when they do not fail in the same way. */
export type Repeat = (settings: SimulationSettings) => Promise<SimulationOutcome | undefined>

const defaultBudget = 60

/**
 * Looks for a shorter course that fails in the same way: fewer steps, fewer kinds of fault, fewer faults. Tries at most
 * `budget` courses, each of them shorter than the best so far.
 */
export async function shrink(
  found: FailingCourse,
  repeat: Repeat,
  budget: number = defaultBudget,
): Promise<FailingCourse> {
  let best = found
  let left = budget
  const attempt = async (settings: SimulationSettings): Promise<boolean> => {
    if (left <= 0) return false
    left -= 1
    const outcome = await repeat(settings)
    if (outcome === undefined) return false
    best = { settings, outcome }
    return true
  }
  await fewerSteps(() => best.settings, attempt)
  await fewerKinds(() => best.settings, attempt)
  await fewerEvents(() => best.settings, attempt)
  await fewerFaults(() => best, attempt)
  await fewerSteps(() => best.settings, attempt)
  return best
}

type Attempt = (settings: SimulationSettings) => Promise<boolean>

async function fewerSteps(current: () => SimulationSettings, attempt: Attempt): Promise<void> {
  let low = 0
  while (current().steps - low > 4) {
    const steps = Math.floor((low + current().steps) / 2)
    if (!(await attempt({ ...current(), steps }))) low = steps
  }
}

async function fewerKinds(current: () => SimulationSettings, attempt: Attempt): Promise<void> {
  for (const kind of Object.keys(current().rates) as FaultKind[]) {
    const { [kind]: _removed, ...rates }: FaultRates = current().rates
    await attempt({ ...current(), rates })
  }
  while (current().processes > 1) {
    if (!(await attempt({ ...current(), processes: current().processes - 1 }))) return
  }
}

async function fewerEvents(current: () => SimulationSettings, attempt: Attempt): Promise<void> {
  while (current().events > 1) {
    if (!(await attempt({ ...current(), events: Math.floor(current().events / 2) }))) return
  }
}

/** Leaves out ever smaller parts of the faults that happened. */
async function fewerFaults(current: () => FailingCourse, attempt: Attempt): Promise<void> {
  for (let size = Math.ceil(current().outcome.faults.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < current().outcome.faults.length; ) {
      const { settings, outcome } = current()
      const without = [...settings.without, ...outcome.faults.slice(from, from + size)]
      if (!(await attempt({ ...settings, without }))) from += size
    }
  }
}
