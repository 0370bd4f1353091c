import { isDeepStrictEqual } from 'node:util'
import { MemoryLog, openMemory } from '../../../src/engines/memory/index.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { temporaryFolder } from '../lmdb/temporary-folder.ts'
import { type Answer, Driver } from './driver.ts'
import type { Request } from './engine-process.ts'
import { LmdbProcess } from './lmdb-process.ts'
import { type Call, deduplicationWindowMs, partitions, type Step } from './operations.ts'

type Kill = Extract<Step, { kind: 'kill' }>

/** The memory engine, which can be closed and opened again on what it has. */
class Model {
  readonly runtime = new ManualRuntime()
  readonly #log = new MemoryLog()
  #driver: Driver | undefined

  get driver(): Driver {
    if (this.#driver === undefined) throw new Error('the model is not open')
    return this.#driver
  }

  async reopen(): Promise<void> {
    await this.#driver?.close()
    const { runtime } = this
    this.#driver = await Driver.on(openMemory({ runtime, log: this.#log, partitions, deduplicationWindowMs }))
  }
}

/** Runs a course on both engines; gives how they differ, if they do. */
export async function runCourse(seed: number, steps: readonly Step[]): Promise<string | undefined> {
  const course = new Course(seed)
  try {
    await course.start()
    for (const [index, step] of steps.entries()) {
      const difference = await course.take(step)
      if (difference !== undefined) return `at step ${index}: ${difference}`
    }
    return undefined
  } catch (error) {
    return String(error)
  } finally {
    await course.end()
  }
}

const compileCache = temporaryFolder()
/** A process that is ready for the next course or restart while the one before is still at work. */
let spare: LmdbProcess | undefined

function nextProcess(): LmdbProcess {
  const next = spare ?? LmdbProcess.start(compileCache.path)
  spare = LmdbProcess.start(compileCache.path)
  return next
}

/** Ends the process that was kept ready and removes what courses share. */
export async function endCourses(): Promise<void> {
  await spare?.kill()
  spare = undefined
  compileCache.remove()
}

class Course {
  readonly #seed: number
  readonly #folder = temporaryFolder()
  readonly #model = new Model()
  #lmdb = nextProcess()
  #nowMs = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  async start(): Promise<void> {
    await this.#model.reopen()
    await this.#open()
  }

  async end(): Promise<void> {
    await this.#lmdb.kill()
    this.#folder.remove()
  }

  async take(step: Step): Promise<string | undefined> {
    this.#nowMs = step.nowMs
    this.#model.runtime.set(step.nowMs)
    switch (step.kind) {
      case 'one': {
        const expected = await this.#model.driver.perform(step.operation)
        const given = await this.#ask({ kind: 'perform', nowMs: step.nowMs, operation: step.operation })
        return difference('its answer', expected, given)
      }
      case 'reopen':
        await this.#model.reopen()
        await this.#ask({ kind: 'reopen', nowMs: step.nowMs })
        return difference('all that can be read', await this.#model.driver.snapshot(), await this.#snapshot())
      case 'kill':
        return this.#kill(step)
    }
  }

  /**
   * Every operation that was in flight holds as a whole or not at all. LMDB takes them in call order, so those that hold
   * come before those that do not; they are done on the model until it has what LMDB has.
   */
  async #kill({ calls, nowMs, at }: Kill): Promise<string | undefined> {
    const model = this.#model.driver
    const bound: (() => Promise<Answer>)[] = []
    for (const { operation } of calls) bound.push(await model.bind(operation))
    const answers = await this.#lmdb.killInFlight({ calls, nowMs }, at)
    await this.#restart()
    const found = await this.#snapshot()
    // A refusal can come before what the calls ahead of it have written is durable: only the others tell what must be there.
    const promised = Math.max(
      -1,
      ...[...answers].filter(([, answer]) => 'gave' in answer).map(([call]) => call),
    )
    let unexplained: string | undefined
    for (let index = 0; ; index += 1) {
      if (index > promised) {
        const differs = difference(`what the calls up to ${promised} leave`, await model.snapshot(), found)
        if (differs === undefined) break
        // What is told is what those leave that must be there, if no later ones explain it.
        unexplained ??= differs
      }
      const call = bound[index]
      if (call === undefined) return unexplained
      const expected = await call()
      const given = answers.get(index)
      if (given === undefined || isLaterStart(calls[index], expected, given)) continue
      const differs = difference(`the answer of call ${index}`, expected, given)
      if (differs !== undefined) return differs
    }
    await this.#model.reopen()
    return undefined
  }

  async #restart(): Promise<void> {
    const before = this.#lmdb.epochs
    this.#lmdb = nextProcess()
    await this.#open()
    const now = this.#lmdb.epochs
    if (now.some((epoch, index) => epoch <= (before[index] ?? 0))) {
      throw new Error(`epochs ${now.join()} come after ${before.join()}`)
    }
  }

  #open(): Promise<unknown> {
    return this.#ask({ kind: 'open', folder: this.#folder.path, seed: this.#seed, nowMs: this.#nowMs })
  }

  #snapshot(): Promise<unknown> {
    return this.#ask({ kind: 'snapshot', nowMs: this.#nowMs })
  }

  #ask(request: Request): Promise<unknown> {
    return this.#lmdb.ask(request)
  }
}

/** A trim "gives the new start", which one in flight beside it may have moved on before the answer. */
function isLaterStart(call: Call | undefined, expected: Answer, given: Answer): boolean {
  if (call?.operation.kind !== 'trim' || !('gave' in expected) || !('gave' in given)) return false
  return Number(given.gave) >= Number(expected.gave)
}

/** What came from another process is JSON. */
function same(expected: unknown, given: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(expected)), given)
}

function difference(what: string, expected: unknown, given: unknown): string | undefined {
  if (same(expected, given)) return undefined
  const [model, lmdb] = [JSON.stringify(expected), JSON.stringify(given)]
  let start = 0
  while (model[start] === lmdb[start]) start += 1
  const part = (text: string) => text.slice(Math.max(0, start - 150), start + 150)
  return `${what} differs\n  memory: …${part(model)}…\n  LMDB:   …${part(lmdb)}…`
}
