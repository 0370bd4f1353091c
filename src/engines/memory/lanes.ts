/** Keeps tasks that share a lane in the order in which they came; tasks without a common lane run side by side. */
export class Lanes {
  /** For each lane with a task: settles, and never rejects, when its last one has. */
  readonly #last = new Map<string, Promise<unknown>>()

  async run<Answer>(lanes: readonly string[], task: () => Promise<Answer>): Promise<Answer> {
    const names = lanes.length === 1 ? lanes : [...new Set(lanes)]
    const before = names.map((lane) => this.#last.get(lane)).filter((last) => last !== undefined)
    const answer = before.length === 0 ? task() : Promise.all(before).then(task)
    const settled = answer.then(ignore, ignore)
    for (const lane of names) this.#last.set(lane, settled)
    try {
      return await answer
    } finally {
      for (const lane of names) {
        if (this.#last.get(lane) === settled) this.#last.delete(lane)
      }
    }
  }
}

function ignore(): void {}
