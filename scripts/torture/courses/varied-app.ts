import { type App, app } from '../../../src/app/app.ts'
import { type HandlerContext, on } from '../../../src/bus/definitions.ts'
import { command, failed } from '../../../src/core/command.ts'
import { TerminalError } from '../../../src/core/errors.ts'
import { event } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { xml } from '../../../src/core/xml.ts'

/** What a handler does at an event, beside keeping count. */
export const ways = [
  'nothing',
  'throw text',
  'throw an object',
  'throw with causes',
  'throw a cause that is none',
  'give up',
  'emit what is refused',
  'emit what is refused later',
  'emit what is validated later',
  'emit into a new topic',
  'emit with attributes',
  'emit at a time',
  'emit another version',
  'send to nobody',
  'send what is not taken',
  'send to itself by its definition',
  'remember twice',
  'remember nothing',
  'remove its state',
  'read what it has set',
  'set what is refused',
] as const

/** One of {@link ways}. */
export type Way = (typeof ways)[number] | 'set too much'

/** What most events of the application carry. */
export interface Telling {
  readonly n: number
  readonly way: Way
}

const isTelling = (value: unknown): value is Telling => {
  return typeof value === 'object' && value !== null && 'n' in value && 'way' in value
}
const tellings: Schema<Telling> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => (isTelling(value) ? { value } : { issues: [{ message: 'must tell something' }] }),
  },
}
const later: Schema<number> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    async validate(value) {
      return Number(value) >= 0 ? { value: Number(value) } : { issues: [{ message: 'must not be negative' }] }
    },
  },
}
const anything: Schema<unknown> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value }) },
}
const counts: Schema<number | undefined, number> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => {
      if (value === undefined) return { value: 0 }
      return typeof value === 'number' ? { value } : { issues: [{ message: 'must be a number' }] }
    },
  },
}
const texts: Schema<string> = {
  '~standard': {
    version: 1,
    vendor: 'millrace',
    validate: (value) => (typeof value === 'string' ? { value } : { issues: [{ message: 'must be text' }] }),
  },
}

const keyOf = ({ n }: Telling) => `k${n % 4}`
/** The data of a {@link Paper} is XML. */
const paper = xml(anything, { numbers: ['paper/n'] })

export const Told = event('varied.told', { schema: tellings, key: keyOf })
export const Noted = event('varied.noted', { schema: later, key: (n) => `k${n % 4}` })
export const Loose = event('varied.loose', { schema: tellings })
export const Paper = event('varied.paper', { schema: paper, key: (text) => `k${text.length % 3}` })
/** No handler takes it, and the application does not declare it: its topic comes with the first one. */
export const Undeclared = event('undeclared', { schema: anything, topic: 'varied-later' })
export const Ask = command('varied.ask', { schema: tellings, key: keyOf, result: anything })
const Second = event('varied-second', {
  schema: tellings,
  key: keyOf,
  version: 2,
  upcast: (data) => data as Telling,
})

const retry = { attempts: 2, baseMs: 20 }
const state = { n: counts, text: texts }
type Ctx = HandlerContext<typeof state>

const plainly: Partial<Record<Way, (data: Telling, ctx: Ctx) => unknown>> = {
  'throw text': () => {
    throw 'only text'
  },
  'throw an object': () => {
    throw { only: 'an object' }
  },
  'throw with causes': () => {
    throw new Error('because', { cause: new TypeError('of this') })
  },
  'throw a cause that is none': () => {
    throw new Error('because', { cause: 'of that' })
  },
  'give up': () => {
    throw new TerminalError('no use')
  },
  'emit what is refused': (_, ctx) => ctx.emit(Told, 'nothing' as never),
  'emit what is refused later': (_, ctx) => ctx.emit(Noted, -1),
  'emit what is validated later': ({ n }, ctx) => ctx.emit(Noted, n),
  'emit into a new topic': ({ n }, ctx) => ctx.emit(Undeclared, n),
  'emit with attributes': ({ n }, ctx) => {
    ctx.emit(Paper, `<paper><n>${n}</n></paper>`, { subject: 's.1', datacontenttype: 'application/xml' })
  },
  'emit at a time': ({ n }, ctx) => ctx.emit(Noted, n, { at: new Date(ctx.now() + 100) }),
  'emit another version': ({ n }, ctx) => ctx.emit(Second, { n, way: 'nothing' }),
  'send to nobody': ({ n }, ctx) => ctx.send('nobody', Noted, n),
  'send what is not taken': ({ n }, ctx) => ctx.send('notes', Loose, { n, way: 'nothing' } as never),
  'send to itself by its definition': ({ n }, ctx) => ctx.send(notes, Noted, n),
  'set what is refused': (_, ctx) => ctx.state.n.set('much' as never),
  'set too much': (_, ctx) => ctx.state.text.set('x'.repeat(17 * 1024 * 1024)),
}

async function behave(data: Telling, ctx: Ctx): Promise<void> {
  const { n } = ctx.state
  const before = (await n.get()) as number
  // Not after its time is over: that would be told of another attempt.
  if (ctx.signal.aborted) return
  n.set(before + 1)
  if (data.way === 'remember twice') await ctx.once('label', () => 'once')
  if (data.way === 'remember twice') await ctx.once('label', () => 'twice')
  if (data.way === 'remember nothing') await ctx.once('nothing', () => undefined)
  if (data.way === 'remove its state') n.delete()
  if (data.way === 'read what it has set' && (await n.get()) !== before + 1)
    throw new TerminalError('what was set is not what is read')
  plainly[data.way]?.(data, ctx)
}

const everyWay = on(
  Told,
  { name: 'ways', from: 'start', retry, timeoutMs: 3_000, state },
  {
    handle: ({ data }, ctx) => behave(data, ctx),
  },
)
const held = on(
  [Told, Second],
  { name: 'held', from: 'start', retry, timeoutMs: 3_000, whenExhausted: 'park', state, concurrency: 1 },
  { default: ({ data }, ctx) => (data.n % 3 === 0 ? behave(data, ctx) : undefined) },
)
const notes = on(
  Noted,
  { name: 'notes', from: 'start', retry, timeoutMs: 3_000, key: (n) => keyGiven(n) as string },
  () => undefined,
)
/** A promise is no key. */
const keyGiven = (n: number): unknown => (n % 5 === 0 ? Promise.reject(new Error('no key')) : `note-${n % 3}`)
const filtered = on(
  { type: 'varied.*', when: 'event.data.n > 30' },
  { name: 'filtered', from: 'start', retry, timeoutMs: 3_000, whenExhausted: 'park' },
  () => undefined,
)
const papers = on(
  { type: Paper, data: { paper: { n: [{ numeric: ['>', 50] }] } } },
  { name: 'papers', from: 'start', retry, timeoutMs: 3_000 },
  () => undefined,
)
const bySubject = on(
  { type: [Loose, Told], subject: 's.*' },
  { name: 'by-subject', from: 'start', retry, timeoutMs: 3_000, key: ({ n }) => `shelf-${n % 2}` },
  () => undefined,
)
const answer = on(
  Ask,
  { name: 'answer', from: 'start', retry: { attempts: 1 }, timeoutMs: 3_000, group: 'varied-asked' },
  { default: { handle: ({ data: { n } }) => answerTo(n) } },
)

function answerTo(n: number): unknown {
  if (n % 7 === 0) return failed('there is no failure') as never
  if (n % 7 === 1) return 'x'.repeat(600_000)
  return n % 7 === 2 ? undefined : { n }
}

/** An application whose handlers do whatever handlers can do wrong, under filters, keys of their own and forms of every kind. */
export const variedApp: App = app({
  name: 'varied',
  maxEventBytes: 20_000,
  handlers: [everyWay, held, notes, filtered, papers, bySubject, answer],
  topics: { varied: { retention: { maxAgeMs: 1 } } },
})
