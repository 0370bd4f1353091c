import type { Task } from './tasks.ts'

/** A task, with its place in the order of all. */
export interface PlannedTask {
  readonly index: number
  readonly task: Task
}

/** Tasks in an order that their options fix, so that a run can go on where another was ended. */
export class Plan {
  /** How many seeds and rounds there are to do. */
  readonly total: { readonly seeds: number; readonly rounds: number }
  readonly #tasks: readonly Task[]
  readonly #underWay = new Map<number, Task>()
  #next: number

  /** The first `after` tasks are left out. */
  constructor(tasks: Iterable<Task>, after = 0) {
    this.#tasks = [...tasks]
    this.#next = Math.min(after, this.#tasks.length)
    let [seeds, rounds] = [0, 0]
    for (const task of this.#tasks.slice(this.#next)) {
      if (task.kind === 'seeds') seeds += task.count
      else rounds += 1
    }
    this.total = { seeds, rounds }
  }

  /** The next one to do; undefined when there is none. */
  next(): PlannedTask | undefined {
    const index = this.#next
    const task = this.#tasks[index]
    if (task === undefined) return undefined
    this.#next += 1
    this.#underWay.set(index, task)
    return { index, task }
  }

  done({ index }: PlannedTask): void {
    this.#underWay.delete(index)
  }

  /** What was begun and is not done, for people. */
  get underWay(): readonly string[] {
    return [...this.#underWay.values()].map(nameOf)
  }

  /** What a run that goes on is to leave out: all is done before it. Undefined when nothing is left. */
  get goesOnAfter(): number | undefined {
    const after = Math.min(this.#next, ...this.#underWay.keys())
    return after < this.#tasks.length ? after : undefined
  }
}

function nameOf(task: Task): string {
  if (task.kind === 'round') return `round ${task.seed}${task.disk ? ' with a failing disk' : ''}`
  if (task.kind === 'chaos') return `round ${task.seed} on ${task.engine}`
  return `seeds ${task.first} to ${task.first + task.count - 1} of ${task.subject}`
}
