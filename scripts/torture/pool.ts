import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Task, TaskResult } from './tasks.ts'

const program = fileURLToPath(new URL('worker.ts', import.meta.url))

/** Does tasks in several processes, each one at a time; ends when there are none left or `goesOn` says no. */
export async function doAll(
  tasks: Iterator<Task, void>,
  options: {
    readonly processes: number
    readonly goesOn: () => boolean
    readonly onResult: (result: TaskResult) => void
  },
): Promise<void> {
  await Promise.all(Array.from({ length: options.processes }, () => work(tasks, options)))
}

async function work(
  tasks: Iterator<Task, void>,
  { goesOn, onResult }: { readonly goesOn: () => boolean; readonly onResult: (result: TaskResult) => void },
): Promise<void> {
  const child = fork(program, {
    // Most of what a simulation makes is gone when its seed is done.
    execArgv: ['-C', 'millrace-source', '--max-semi-space-size=64'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  try {
    while (goesOn()) {
      const { value: task, done } = tasks.next()
      if (done || task === undefined) return
      onResult(await perform(child, task))
    }
  } finally {
    if (child.connected) child.disconnect()
  }
}

async function perform(child: ChildProcess, task: Task): Promise<TaskResult> {
  const ended = new AbortController()
  try {
    const closed = once(child, 'close', { signal: ended.signal }).then(([code, signal]) => {
      throw new Error(`a worker ended with ${code ?? signal} at ${JSON.stringify(task)}`)
    })
    child.send(task)
    const [result] = (await Promise.race([once(child, 'message', { signal: ended.signal }), closed])) as [
      TaskResult,
    ]
    return result
  } finally {
    ended.abort()
  }
}
