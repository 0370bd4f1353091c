/**
 * Lets a simulation decide when each half of a port call happens. The memory engine awaits one step before it applies a
 * call and one before it acknowledges it, so another process, or a crash, can come between any two of them.
 */
export interface StepScheduler {
  /**
   * Resolves when the step may happen. `name` is the call and its half, such as `append:apply` or `commit:acknowledge`.
   * For a process that crashed it never settles.
   */
  step(name: string): Promise<void>
}

/** Takes every step at once. */
export const immediateSteps: StepScheduler = { step: () => Promise.resolve() }
