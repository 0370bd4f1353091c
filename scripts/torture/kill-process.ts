// A process that is tortured: runs the application on a log, and does what its parent tells it.
import { openSync } from 'node:fs'
import { openEngine } from '../../src/app/open-engine.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { start } from '../../src/app/start.ts'
import { internalTopics } from '../../src/bus/internal-topics.ts'
import { resultIdOf } from '../../src/bus/results.ts'
import type { HandlerStatus } from '../../src/bus/status.ts'
import { isMillraceError } from '../../src/core/errors.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { partitionOf } from '../../src/log/partition.ts'
import type { Offset } from '../../src/log/port.ts'
import { FaultPlan } from '../../src/testing/faults.ts'
import { HandlerFaults } from '../../src/testing/handler-faults.ts'
import { instrument } from '../../src/testing/instrument.ts'
import { appendAt, toldOf } from '../../src/testing/publishers.ts'
import { SeededRandom } from '../../src/testing/random.ts'
import {
  Account,
  eventsOf,
  type Order,
  Placed,
  Quote,
  type TortureAppend,
  type TortureEvent,
  tortureApp,
  tortureAppWith,
  torturePartitions,
} from './app.ts'
import { Journal, JournalRecorder } from './journal.ts'
import { allRecords, endsOf, JournaledEngine } from './journaled-engine.ts'
import type { Answer, ProcessArguments, Request } from './messages.ts'

const {
  log,
  journalFile,
  seed,
  incarnation,
  tells = false,
} = JSON.parse(process.argv[2] ?? '') as ProcessArguments
const runtime = realRuntime({
  onTaskFailed: (task, error) => say({ problem: `background task ${task} failed: ${String(error)}` }),
})
const say = (answer: Answer): void => {
  process.send?.(answer)
}
/** Beside servers, and several others, a step takes longer. */
const handlers = tells ? { timeoutMs: 400, failing: 0.15 } : { timeoutMs: 120, failing: 0.25 }
/** Keys that are held keep their publishers waiting. */
const waitTimeoutMs = 250
const appendTimeoutMs = 1_000

/** Handlers that are to be slow in virtual time are so for a moment here; those that hang still outlast their time. */
const sleep = (durationMs: number) => {
  const hangs = durationMs > 1 && (durationMs - 1) % handlers.timeoutMs === 0
  return runtime.sleep(hangs ? durationMs : durationMs / 40)
}

const engine = await openEngine(log, { runtime, partitions: torturePartitions })
const journal = new Journal(openSync(journalFile, 'a'))
const journaled = new JournaledEngine(engine, journal, (partitions) => {
  if (tells) say({ worked: { partitions, atNs: Number(process.hrtime.bigint()) } })
})
const plan = new FaultPlan({
  seed,
  rates: { handler: handlers.failing },
  without: new Set(),
  onFault: () => {},
})
plan.begin()
const watched = instrument(tells ? tortureAppWith(handlers) : tortureApp, {
  process: `k${incarnation}`,
  runtime: { now: runtime.now, sleep },
  recorder: new JournalRecorder(journal, `k${incarnation}.a`),
  faults: new HandlerFaults(seed * 1000 + incarnation, plan),
  claimsOn: (key) => journaled.claimsOn(partitionOf(key, torturePartitions)),
})
const running = await start(watched, { log: journaled.engine, runtime, drainMs: 300 })
process.on('message', (request: Request) => {
  serve(running, request).catch((error: unknown) =>
    say({ problem: `${Object.keys(request)}: ${String(error)}` }),
  )
})
/** Nobody is left who would end it. */
function end(): void {
  process.exit(1)
}
process.on('disconnect', end)
say({ ready: true })

async function serve(application: RunningApp, request: Request): Promise<void> {
  if ('publish' in request) return publish(application, request.publish)
  if ('append' in request) return append(application, request.append)
  if ('lookUp' in request) return lookUp(application, request.lookUp)
  if ('redrive' in request) return redrive(application, request.redrive)
  if ('outstanding' in request) return say({ outstanding: await outstanding(application) })
  if ('settle' in request) return say({ settled: await settled(application) })
  await application.stop()
  await engine.close()
  say({ stopped: true })
  // Nothing else is left that would keep it alive.
  process.off('disconnect', end).disconnect()
}

async function publish(
  application: RunningApp,
  { id, data, delayMs, waits, asks }: TortureEvent,
): Promise<void> {
  const options = { id, source: 'torture', ...(delayMs === undefined ? {} : { delay: delayMs }) }
  try {
    if (asks) return await ask(application, id, data)
    const published = await application.publish(
      Placed,
      data,
      waits ? { ...options, wait: 'handled', waitTimeoutMs } : options,
    )
    if (waits) await journaled.writeTold({ handled: id })
    const { topic, partition, offset } = published
    say({ acknowledged: { id, topic, partition, offset } })
  } catch (error) {
    if (!isMillraceError(error)) return say({ problem: `publishing ${id}: ${String(error)}` })
    const isTold = asks && error.code === 'HANDLER_FAILED' ? await writeGivenUp(id) : true
    say({ refused: { id, code: isTold ? error.code : 'LOG_CLOSED' } })
  }
}

/** Whether it could still be noted that a command was given up. */
async function writeGivenUp(id: string): Promise<boolean> {
  try {
    await journaled.writeTold({ told: { id, source: 'torture', told: 'given up', isFinal: false } })
    return true
  } catch (error) {
    // It came as the application was stopping, and the log is closed by now.
    if (isMillraceError(error, 'LOG_CLOSED')) return false
    throw error
  }
}

/** Waits for the answer to a command; it is durable even where none comes in time. */
async function ask(application: RunningApp, id: string, data: Order): Promise<void> {
  const told = await application.request(Quote, data, { id, source: 'torture', waitTimeoutMs })
  await journaled.writeTold({ told: { id, source: 'torture', told, isFinal: false } })
  say({ acknowledged: { id } })
}

async function append(application: RunningApp, asked: TortureAppend): Promise<void> {
  const { append: id, expectedVersion } = asked
  const options = { id, source: 'torture', expectedVersion, waitTimeoutMs: appendTimeoutMs }
  await answerFor(id, async () => {
    const told = await appendAt(application, {
      ...{ stream: Account, id: asked.id },
      ...{ events: eventsOf(asked), options },
    })
    return { appended: { append: id, told } }
  })
}

async function lookUp(
  application: RunningApp,
  { append: name, id }: Pick<TortureAppend, 'append' | 'id'>,
): Promise<void> {
  await answerFor(name, async () => {
    return { lookedUp: { append: name, version: await application.streamVersion(Account, id) } }
  })
}

async function answerFor(name: string, ask: () => Promise<Answer>): Promise<void> {
  try {
    say(await ask())
  } catch (error) {
    if (isMillraceError(error)) say({ unanswered: { append: name, code: error.code } })
    else say({ problem: `append ${name}: ${String(error)}` })
  }
}

/** Fetches the result of every command that is in the log. */
async function fetchResults(application: RunningApp): Promise<void> {
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    const at = { topic: tortureApp.name, partition }
    for (const { offset, value } of await allRecords(engine, at)) {
      const { type, source, id } = decodeEvent(value)
      if (type !== Quote.type) continue
      const told = await toldOf(application, resultIdOf({ ...at, offset }))
      await journaled.writeTold({ told: { id, source, told, isFinal: true } })
    }
  }
}

async function redrive(application: RunningApp, number: number): Promise<void> {
  try {
    const { letters } = await application.deadLetters.list()
    if (letters.length === 0) return
    await application.deadLetters.redrive({ id: new SeededRandom(number, 'redrive').pick(letters).id })
  } catch (error) {
    // The disk may fail, the application may stop, and the letter may have been handed back before.
    if (!isMillraceError(error)) throw error
  }
}

/** Waits until nothing is left to do; gives where the firings of the schedule stood before that was known. */
async function settled(application: RunningApp): Promise<Readonly<Record<string, Offset>>> {
  const { ticks } = internalTopics(tortureApp.name)
  for (;;) {
    const before = await endsOf(engine)
    await application.settled()
    const isIdle = (await application.status()).every((status) => busy(status) === undefined)
    const after = await endsOf(engine)
    const same = Object.entries(after).every(
      ([place, end]) => place.startsWith(ticks) || before[place] === end,
    )
    if (isIdle && same && (await journaled.timers()) === 0) {
      await fetchResults(application)
      return before
    }
    await runtime.sleep(20)
  }
}

/** What a handler still has to do. One that gave up what it probed with stays paused, and has nothing left. */
function busy(status: HandlerStatus): string | undefined {
  const { name, partitions, lag, inFlight, waiting, stuck, parked } = status
  const due = parked.sample.filter(({ dueMs }) => dueMs !== undefined).length
  const counts = { lag, 'in flight': inFlight, waiting, stuck: stuck.length, 'parked and due': due }
  const left = Object.entries(counts).filter(([, count]) => count > 0)
  if (partitions.length === torturePartitions && left.length === 0) return undefined
  const words = left.map(([what, count]) => `${what} ${count}`)
  return `'${name}' on ${partitions.length} partitions: ${words.join(', ') || 'nothing'}`
}

async function outstanding(application: RunningApp): Promise<string> {
  const handlers = (await application.status()).flatMap((status) => busy(status) ?? [])
  return [...handlers, `${(await journaled.timers()) ?? 'unknown'} timers`].join('; ')
}
