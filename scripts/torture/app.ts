import { type App, app } from '../../src/app/app.ts'
import { every, on } from '../../src/bus/definitions.ts'
import { command, failed } from '../../src/core/command.ts'
import { event } from '../../src/core/event.ts'
import type { Schema } from '../../src/core/schema.ts'
import type { ExpectedVersion } from '../../src/eventstore/append-request.ts'
import { stream } from '../../src/eventstore/stream.ts'
import type { StreamDecision } from '../../src/testing/publishers.ts'
import type { SeededRandom } from '../../src/testing/random.ts'

/** What the tortured application is given. */
export interface Order {
  readonly key: string
  readonly number: number
}

function trusted<T>(): Schema<T> {
  return { '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as T }) } }
}

const count: Schema<number | undefined, number> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => ({ value: (value as number | undefined) ?? 0 }),
  },
}

const keyOfOrder = ({ key }: Order) => key

/** What is published. */
export const Placed = event('torture.placed', { schema: trusted<Order>(), key: keyOfOrder })
const Confirmed = event('torture.confirmed', { schema: trusted<Order>(), key: keyOfOrder })
const Reminded = event('torture.reminded', { schema: trusted<Order>(), key: keyOfOrder })
const Shipped = event('torture.shipped', {
  schema: trusted<Order>(),
  key: keyOfOrder,
  topic: 'torture-shipping',
})

/** What is asked. */
export const Quote = command('torture.quote', {
  schema: trusted<Order>(),
  key: keyOfOrder,
  result: trusted<{ price: number }>(),
  failure: trusted<{ why: string }>(),
})

const Entered = event('torture.entered', { schema: trusted<Order>(), key: keyOfOrder })
const Voided = event('torture.voided', { schema: trusted<Order>(), key: keyOfOrder })

/** What is appended to. */
export const Account = stream('torture-account', { events: [Entered, Voided] })

const retry = { attempts: 3, baseMs: 4, maxMs: 60 }

/**
 * An application in which state, emits, delays, retries, parked keys, `once`, commands, streams, two groups and a schedule are all
 * at work.
 * An attempt has so long as `timeoutMs`.
 */
export function tortureAppWith({ timeoutMs }: { readonly timeoutMs: number }): App {
  const confirm = on(
    Placed,
    { name: 'confirm', from: 'start', retry, timeoutMs, state: { orders: count } },
    async ({ data }, ctx) => {
      const orders = (await ctx.state.orders.get()) + 1
      ctx.state.orders.set(orders)
      ctx.emit(Confirmed, { ...data, number: orders })
      if (data.number % 5 === 0) ctx.emit(Reminded, data, { delay: (data.number % 7) * 40 })
    },
  )

  const ship = on(Confirmed, { name: 'ship', from: 'start', retry, timeoutMs }, async ({ data }, ctx) => {
    const label = await ctx.once('label', (idempotencyKey) => idempotencyKey)
    if (data.number % 2 === 0) await ctx.once('parcel', () => label.length)
    ctx.emit(Shipped, data)
  })

  const bill = on(
    [Placed, Reminded],
    {
      name: 'bill',
      from: 'start',
      retry: { attempts: 2, baseMs: 3 },
      timeoutMs,
      whenExhausted: 'park',
      concurrency: 3,
      state: { total: count },
    },
    async ({ data }, ctx) => ctx.state.total.set((await ctx.state.total.get()) + data.number),
  )

  const quote = on(
    Quote,
    { name: 'quote', from: 'start', retry, timeoutMs, state: { quotes: count } },
    async ({ data }, ctx) => {
      const quotes = (await ctx.state.quotes.get()) + 1
      ctx.state.quotes.set(quotes)
      return data.number % 7 === 0 ? failed({ why: 'not sold' }) : { price: 1000 * quotes + data.number }
    },
  )

  const archive = on(
    Shipped,
    { name: 'archive', group: 'torture-archive', from: 'start', retry, timeoutMs },
    () => undefined,
  )

  const sweep = every(
    '* * * * * *',
    { name: 'sweep', retry, timeoutMs, state: { sweeps: count } },
    async (_tick, ctx) => ctx.state.sweeps.set((await ctx.state.sweeps.get()) + 1),
  )

  const balance = on(
    [Entered, Voided],
    { name: 'balance', from: 'start', retry, timeoutMs, state: { held: count } },
    async ({ type, data }, ctx) => {
      const held = await ctx.state.held.get()
      ctx.state.held.set(type === Entered.type ? held + data.number : held - data.number)
    },
  )

  const handlers = [confirm, ship, bill, quote, archive, sweep, balance]
  return app({ name: 'torture', handlers, streams: [Account] })
}

/** The application where commits take a moment only. */
export const tortureApp: App = tortureAppWith({ timeoutMs: 120 })

/** The partition count of its log. */
export const torturePartitions = 4

const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']

/** An event to be published. */
export interface TortureEvent {
  readonly id: string
  readonly data: Order
  readonly delayMs?: number
  /** Whether its publisher waits until it is handled. */
  readonly waits: boolean
  /** Whether it is a command. */
  readonly asks: boolean
}

/** The next event to be published. */
export function nextEvent(number: number, random: SeededRandom): TortureEvent {
  const data = { key: random.pick(keys), number: random.below(100) }
  const chosen = random.next()
  const delay = chosen < 0.08 ? { delayMs: random.between(1, 400) } : {}
  return { id: `e${number}`, data, ...delay, waits: chosen > 0.9, asks: chosen > 0.8 && chosen <= 0.9 }
}

/** Events to be appended to a stream. */
export interface TortureAppend {
  /** Its own id. */
  readonly append: string
  /** Of the stream. */
  readonly id: string
  readonly expectedVersion: ExpectedVersion
  /** What each of its events says. */
  readonly numbers: readonly number[]
}

/** So few that several append to one of them at once. */
const accounts = keys.slice(0, 3)

/** The next append of somebody; which version it expects depends on what there is by then. */
export function nextAppend(random: SeededRandom): Pick<TortureAppend, 'id' | 'numbers'> {
  const numbers = Array.from({ length: random.between(1, 3) }, () => random.below(100))
  return { id: random.pick(accounts), numbers }
}

/** The events of an append. */
export function eventsOf({ id, numbers }: TortureAppend): StreamDecision['events'] {
  return numbers.map((number) => ({ type: number % 3 === 0 ? Voided : Entered, data: { key: id, number } }))
}
