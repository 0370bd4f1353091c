import { EventEmitter } from 'node:events'
import { app, command, event, on, type RunningApp } from 'millrace'
import { z } from 'zod'

const order = z.object({ orderId: z.string(), customer: z.string(), n: z.int() })
type Order = z.output<typeof order>
const options = { schema: order, key: ({ orderId }: Order) => orderId }
const Placed = event('bench.placed', options)
const Asked = event('bench.asked', options)
const Shipped = event('bench.shipped', options)
const Moved = event('bench.moved', options)
const Decide = command('bench.decide', { ...options, result: z.int() })

/** When what is measured has come to where it was to come. */
let arrived: (() => void) | undefined
const arrive = () => arrived?.()

const handlers = [
  on(Placed, { name: 'started', from: 'now' }, arrive),
  on(Asked, { name: 'done', from: 'now' }, () => {}),
  on(Shipped, { name: 'emitting', from: 'now' }, ({ data }, ctx) => {
    beganMs = performance.now()
    ctx.emit(Placed, data)
  }),
  on(Moved, { name: 'moved', from: 'now', key: ({ customer }) => customer }, arrive),
  on(Decide, { name: 'deciding', from: 'now' }, ({ data }) => data.n),
]

/** The application that ways of propagation are measured with. */
export const ways = app({ name: 'bench', handlers })

/** When the measured part began, where that is not when the call was made. */
let beganMs = 0

/** One way from what happens to what reacts to it. */
export interface Way {
  readonly name: string
  /** From where to where it is measured. */
  readonly what: string
  /** Goes it once; gives how long it took, in milliseconds. */
  once(running: RunningApp, n: number): Promise<number>
}

const data = (n: number): Order => ({ orderId: `o${n % 1_000}`, customer: `c${n % 100}`, n })

/** Measures a call until it resolves. */
function untilResolved(
  name: string,
  what: string,
  call: (running: RunningApp, n: number) => Promise<unknown>,
): Way {
  const once = async (running: RunningApp, n: number) => {
    beganMs = performance.now()
    await call(running, n)
    return performance.now() - beganMs
  }
  return { name, what, once }
}

/** Measures until what was called has come to where {@link arrive} is called. */
function untilArrived(
  name: string,
  what: string,
  call: (running: RunningApp, n: number) => Promise<unknown>,
): Way {
  const once = async (running: RunningApp, n: number) => {
    let endedMs = 0
    const arriving = new Promise<void>((resolve) => {
      arrived = () => {
        endedMs = performance.now()
        resolve()
      }
    })
    beganMs = performance.now()
    await call(running, n)
    await arriving
    arrived = undefined
    return endedMs - beganMs
  }
  return { name, what, once }
}

const emitter = new EventEmitter().on('placed', arrive)

/** Everything that is measured, a plain EventEmitter first. */
export const allWays: readonly Way[] = [
  untilArrived('EventEmitter', 'emit → listener, nothing durable', async (_running, n) =>
    emitter.emit('placed', data(n)),
  ),
  untilArrived('watch', 'publish → observer is told', async (running, n) => {
    using _watch = running.watch(Asked, arrive)
    await running.publish(Asked, data(n))
    await new Promise((resolve) => setImmediate(resolve))
  }),
  untilResolved('publish', 'until durable', (running, n) => running.publish(Asked, data(n))),
  untilArrived('publish, handler', 'publish → handler starts', (running, n) =>
    running.publish(Placed, data(n)),
  ),
  untilResolved('publish, wait', 'until handled', (running, n) =>
    running.publish(Asked, data(n), { wait: 'handled' }),
  ),
  untilResolved('send, wait', 'until handled by the one', (running, n) => {
    return running.send('done', Asked, data(n), { wait: 'handled' })
  }),
  untilResolved('request', 'until the result', (running, n) => running.request(Decide, data(n))),
  untilArrived('emit', 'emit of a handler → next handler starts', (running, n) =>
    running.publish(Shipped, data(n)),
  ),
  untilArrived('another key', 'publish → handler with a key of its own starts', (running, n) => {
    return running.publish(Moved, data(n))
  }),
]
