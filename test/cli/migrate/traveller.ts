import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Ended, Started, Workplace } from '../process.ts'

const file = fileURLToPath(new URL('../fixtures/traveller.ts', import.meta.url))

/** What the keys of the tests begin with; what an application does with each is in `fixtures/traveller.ts`. */
const kinds = ['plain', 'stuck', 'hopeless', 'late', 'once', 'flagged'] as const
const keysOfKind = 4
const requestEvents = 25

interface Numbered {
  readonly key: string
  readonly n: number
}

interface SentEvent extends Numbered {
  readonly id: string
  readonly type: string
}

interface LoggedEvent {
  readonly id: string
  readonly type: string
  readonly data: Numbered & { readonly nth: number; readonly scheduled: string }
}

/** Publishes to an application that is killed and moved, remembers what was acknowledged, and judges it at the end. */
export class Traveller {
  readonly #place: Workplace
  readonly #environment: Readonly<Record<string, string>>
  /** Everything that was ever sent, in order; what was not acknowledged may be in the log or not. */
  readonly #sent: SentEvent[] = []
  readonly #results = new Map<string, unknown>()
  #next = 0

  constructor(place: Workplace) {
    this.#place = place
    this.#environment = { MENDED: place.path('mended'), LABELS: place.path('labels') }
    writeFileSync(place.path('labels'), '')
  }

  start(log: string): Promise<Started> {
    return this.#place.start(['--log', log], { file, environment: this.#environment })
  }

  run(args: readonly string[]): Promise<Ended> {
    return this.#place.run(args, { environment: this.#environment })
  }

  /** Puts a rule that says of events of some keys that they are flagged. */
  async putRule({ urls }: Started): Promise<void> {
    const rule = {
      name: 'flag',
      pattern: { type: 'traveller.counted', data: { key: [{ prefix: 'flagged' }] } },
      actions: [{ emit: 'traveller.flagged', data: 'event.data' }],
    }
    await post(`${urls.platform}/rules`, { rules: [rule], by: 'test', reason: 'to see it move' })
  }

  /** Publishes some events of every key, then takes the process away in the middle of others. */
  async publishUntilKilled(started: Started): Promise<void> {
    await this.publish(started)
    const unfinished = this.publish(started).catch(() => undefined)
    await fetch(`${started.urls.platform}/handlers`)
    started.child.kill('SIGKILL')
    await unfinished
    await started.ended
  }

  /** One more event for each key, and commands; in order for each key. */
  async publish(started: Started): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      this.#next += 1
      const n = this.#next
      const all = kinds.flatMap((kind) =>
        Array.from({ length: keysOfKind }, (_, index) => {
          const key = `${kind}-${index}`
          return { type: 'traveller.counted', key, n, id: `${key}-${n}` }
        }),
      )
      this.#sent.push(...all)
      await this.#send(started, all)
      await this.#command(started, n)
    }
  }

  async #command(started: Started, n: number): Promise<void> {
    const id = `command-${n}`
    const sent = { type: 'traveller.reserve', key: 'chair', n, id }
    this.#sent.push(sent)
    const [record] = await this.#send(started, [sent])
    const resultId = record?.resultId
    if (resultId === undefined) throw new Error('a command got no id of a result')
    this.#results.set(resultId, undefined)
  }

  async #send({ urls }: Started, events: readonly SentEvent[]) {
    const records: { readonly duplicate?: true; readonly resultId?: string }[] = []
    for (let from = 0; from < events.length; from += requestEvents) {
      const batch = events.slice(from, from + requestEvents).map(({ type, id, key, n }) => {
        return { specversion: '1.0', id, source: 'traveller-test', type, data: { key, n } }
      })
      const answer = await post(`${urls.platform}/events`, batch, 'application/cloudevents-batch+json')
      records.push(...(answer as { readonly records: typeof records }).records)
    }
    return records
  }

  /** Fetches the results of commands; those that were known before must be the same. */
  async checkResults({ urls }: Started): Promise<void> {
    for (const [id, before] of this.#results) {
      const fetched = async () => (await (await fetch(`${urls.platform}/results/${id}`)).json()) as object
      await expect.poll(fetched, { timeout: 60_000 }).toMatchObject({ ok: true })
      const result = await fetched()
      if (before !== undefined) expect(result).toEqual(before)
      this.#results.set(id, result)
    }
  }

  /** Sends everything again: what is in the log already must be known there. */
  async resend(started: Started): Promise<void> {
    await this.#send(started, this.#sent)
    const again = await this.#send(started, this.#sent)
    expect(again.filter(({ duplicate }) => duplicate !== true)).toEqual([])
  }

  /** Ends what keeps events from being handled, and waits until all is done. */
  async mend(started: Started): Promise<void> {
    const { platform } = started.urls
    writeFileSync(this.#place.path('mended'), '')
    await expect.poll(() => redriven(platform), { timeout: 60_000, interval: 300 }).toBe(0)
    await expect.poll(() => undone(platform), { timeout: 60_000, interval: 300 }).toBe(0)
    const delayed = this.#expected().filter(({ key }) => key.startsWith('late'))
    const recalled = async () => (await this.#logged(['--url', platform], 'recalled')).length
    const expected = delayed.reduce((sum, { numbers }) => sum + numbers.length, 0)
    await expect.poll(recalled, { timeout: 60_000, interval: 300 }).toBe(expected)
  }

  /** The events of a type, in the order of the log; of all types unless one is given. */
  async #logged(access: readonly string[], type?: string): Promise<readonly LoggedEvent[]> {
    const all = ['tail', '--json', '--from', 'start', '--topic', 'traveller', ...access]
    const { stdout } = await this.run(all)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly event: LoggedEvent }).event)
    return events.filter((event) => type === undefined || event.type === `traveller.${type}`)
  }

  /** Reads the whole log: every event of every key was handled once, in order where nothing was redriven. */
  async judge(log: string): Promise<void> {
    const events = await this.#logged(['--log', log])
    const ofType = (type: string) => events.filter((event) => event.type === `traveller.${type}`)
    for (const { key, numbers } of this.#expected()) {
      const inOrder = (type: string) =>
        ofType(type)
          .filter(({ data }) => data.key === key)
          .map(({ data }) => data.n)
      expect(inOrder('counted'), `${key} as it was published`).toEqual(numbers)
      const summed = inOrder('summed')
      const expected = key.startsWith('hopeless') ? summed.toSorted((one, other) => one - other) : summed
      expect(expected, `${key} as it was handled`).toEqual(numbers)
      if (key.startsWith('late')) expect(inOrder('recalled').toSorted((a, b) => a - b)).toEqual(numbers)
      if (key.startsWith('flagged')) expect(inOrder('flagged')).toEqual(numbers)
    }
    const ticks = ofType('ticked').map(({ data }) => data.scheduled)
    expect(new Set(ticks).size, 'firings').toBe(ticks.length)
    expect(ticks.length).toBeGreaterThan(0)
    this.#judgeLabels()
  }

  /** What was done outside was done with one idempotency key for each event, and once where its result was durable. */
  #judgeLabels(): void {
    const lines = readFileSync(this.#place.path('labels'), 'utf8').trim().split('\n')
    const keys = new Map<string, Set<string>>()
    for (const line of lines) {
      const [idempotencyKey = '', ...of] = line.split(' ')
      const name = of.join(' ')
      keys.set(name, (keys.get(name) ?? new Set()).add(idempotencyKey))
    }
    const expected = this.#expected().filter(({ key }) => key.startsWith('once'))
    expect(keys.size).toBe(expected.reduce((sum, { numbers }) => sum + numbers.length, 0))
    for (const [name, all] of keys) expect(all.size, `idempotency keys of ${name}`).toBe(1)
    // Only what a kill has met between the doing and the remembering is done again: one of each key at a time.
    const again = lines.length - keys.size
    expect(again).toBeLessThanOrEqual(keysOfKind * 10)
  }

  #expected(): { readonly key: string; readonly numbers: readonly number[] }[] {
    const counted = this.#sent.filter(({ type }) => type === 'traveller.counted')
    return [...Map.groupBy(counted, ({ key }) => key)].map(([key, sent]) => {
      return { key, numbers: sent.map(({ n }) => n) }
    })
  }
}

async function post(url: string, body: unknown, contentType = 'application/json'): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: JSON.stringify(body),
  })
  const answer = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${answer}`)
  return JSON.parse(answer)
}

/** Hands back every open dead letter; gives how many there were. */
async function redriven(platform: string): Promise<number> {
  const order = { all: true, wait: true }
  const { asked } = (await post(`${platform}/dead-letters/redrive`, order)) as { readonly asked: number }
  return asked
}

async function undone(platform: string): Promise<number> {
  const { handlers } = (await (await fetch(`${platform}/handlers`)).json()) as {
    readonly handlers: readonly {
      readonly lag: number
      readonly inFlight: number
      readonly parked: { readonly keys: number }
      readonly name: string
    }[]
  }
  return handlers.reduce((sum, { lag, inFlight, parked }) => sum + lag + inFlight + parked.keys, 0)
}
