import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Workplace } from '../cli/process.ts'

const app = fileURLToPath(new URL('../../examples/flights/app.ts', import.meta.url))

/** A flight of the data, as it is there. */
export interface Row {
  readonly destination: string
  readonly delay: number
}

/** The first flights of the data, read without the example. */
export async function readRows(count: number): Promise<readonly Row[]> {
  const url = new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets'))
  return JSON.parse(await readFile(url, 'utf8')).slice(0, count)
}

/** What there is to see of a run that has come to its end. */
export interface Outcome {
  /** The ids of all landed flights, alerts and dead letters in the log: one that is there twice is here twice. */
  readonly landed: readonly string[]
  readonly alerts: readonly string[]
  readonly deadLetters: readonly string[]
  /** What `GET /airports/:code` answers for each airport. */
  readonly airports: readonly unknown[]
}

interface Urls {
  readonly platform: string
  readonly app: string
}

/** The example as a process on a log that outlives it; in a folder of its workplace unless named. */
export class FlightsProcess {
  /** How many flights the process found in the log, once it has finished. */
  readonly finished: Promise<{ readonly found: number; readonly imported: number }>
  readonly #child: ReturnType<Workplace['spawn']>
  readonly #urls: Urls
  readonly #closed: Promise<unknown>
  #isFinished = false

  private constructor(child: ReturnType<Workplace['spawn']>, urls: Urls, lines: AsyncIterator<string>) {
    this.#child = child
    this.#urls = urls
    this.#closed = once(child, 'close')
    this.finished = lines.next().then(({ value, done }) => {
      if (done) throw new Error('the process ended before it had finished')
      this.#isFinished = true
      return JSON.parse(value).finished
    })
    this.finished.catch(() => {})
  }

  /** Starts the example on the workplace's log; resolves once its ports answer. */
  static async start(
    place: Workplace,
    flights: number,
    log = `lmdb:${place.path('log')}`,
  ): Promise<FlightsProcess> {
    const ports = ['--port', '0', '--platform-port', '0', '--log', log]
    const child = place.spawn(['start', app, '--json', ...ports], {
      environment: { FLIGHTS: String(flights) },
    })
    let stderr = ''
    child.stderr?.on('data', (chunk: Uint8Array) => (stderr += Buffer.from(chunk).toString()))
    if (child.stdout === null) throw new Error('the process has no output')
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { value, done } = await lines.next()
    if (done) throw new Error(`the example did not start: ${stderr}`)
    return new FlightsProcess(child, JSON.parse(value).urls, lines)
  }

  /** Resolves when this process has begun so many attempts, or has finished before; tells whether it was still at work. */
  async begun(attempts: number): Promise<boolean> {
    while (!this.#isFinished) {
      const { handlers } = await this.#json<{ handlers: { counts: { attempts: number } }[] }>('/handlers')
      if (handlers.reduce((sum, { counts }) => sum + counts.attempts, 0) >= attempts) break
    }
    return !this.#isFinished
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  async outcome(rows: readonly Row[]): Promise<Outcome> {
    const landed = await this.#events<{ id: string }>('flights')
    const alerts = await this.#events<{ data: { flight: string } }>('alerts')
    const deadLetters = await this.#events<{ data: { event: { data: { flight: string } } } }>(
      'millrace.flights.dead-letters',
    )
    const codes = [...new Set(rows.map(({ destination }) => destination))].sort()
    const airports = codes.map(async (code) => (await fetch(`${this.#urls.app}/airports/${code}`)).json())
    return {
      landed: landed.map(({ id }) => id).sort(),
      alerts: alerts.map(({ data }) => data.flight).sort(),
      deadLetters: deadLetters.map(({ data }) => data.event.data.flight).sort(),
      airports: await Promise.all(airports),
    }
  }

  /** All events of a topic. */
  async #events<Event>(topic: string): Promise<Event[]> {
    const { topics } = await this.#json<{ topics: { name: string; partitions: unknown[] }[] }>('/topics')
    const partitions = topics.find(({ name }) => name === topic)?.partitions.length ?? 0
    const events: Event[] = []
    for (let partition = 0; partition < partitions; partition += 1) {
      const query = `topic=${topic}&partition=${partition}&limit=1000`
      for (let from = 0; ; ) {
        const page = await this.#json<{ records: { event: Event }[]; next: number }>(
          `/events?${query}&from=${from}`,
        )
        if (page.records.length === 0) break
        events.push(...page.records.map(({ event }) => event))
        from = page.next
      }
    }
    return events
  }

  async #json<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#urls.platform}${path}`)
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
    return (await response.json()) as T
  }
}
