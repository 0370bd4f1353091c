import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Workplace } from '../process.ts'

const source = (path: string) =>
  JSON.stringify(fileURLToPath(new URL(`../../../src/${path}`, import.meta.url)))

/** What a version of the application of the tests is made of. */
export interface VersionOptions {
  /** Answered by `GET /version`. */
  readonly version: number
  /** Statements in front of the application. */
  readonly before?: string
  /** Statements at the beginning of the handler. */
  readonly inHandler?: string
  /** More handlers, such as `on(Counted, { name: 'other' }, () => {})`. */
  readonly handlers?: string
  readonly routes?: string
}

/**
 * The file of an application that counts, for each publisher, the events that it was given, and those that were not the
 * next one: lost, doubled or out of order.
 */
export function appSource({
  version,
  before = '',
  inHandler = '',
  handlers = '',
  routes = '',
}: VersionOptions): string {
  return `import { z } from 'zod'
import { app } from ${source('app/app.ts')}
import { http } from ${source('app/http.ts')}
import { every, on } from ${source('bus/definitions.ts')}
import { event } from ${source('core/event.ts')}
${before}
const schema = z.object({ publisher: z.string(), n: z.int() })
const Counted = event('load.counted', { schema, key: (data) => data.publisher })

const count = on(
  Counted,
  { name: 'count', from: 'start', state: { handled: z.int().default(0), last: z.int().default(0), wrong: z.int().default(0) } },
  async ({ data }, ctx) => {
    ${inHandler}
    const last = await ctx.state.last.get()
    ctx.state.handled.set((await ctx.state.handled.get()) + 1)
    if (data.n !== last + 1) ctx.state.wrong.set((await ctx.state.wrong.get()) + 1)
    ctx.state.last.set(data.n)
  },
)

export default app({
  name: 'load',
  handlers: [count, ${handlers}],
  events: [Counted],
  routes: [
    http.get('/version', {}, () => Response.json(${version})),
    http.get('/counts/:publisher', {}, async ({ params }, ctx) => Response.json(await ctx.read(count, params.publisher))),
    http.post('/count', { body: schema }, async ({ body }, ctx) =>
      Response.json(await ctx.publish(Counted, body, { id: body.publisher + '-' + body.n }), { status: 202 })),
    ${routes}
  ],
})
`
}

/** One line of `millrace dev --json`. */
export type DevLine = Readonly<Record<string, unknown>>

/** `millrace dev` at work on `app.ts` of a workplace. */
export class DevProcess {
  readonly child: ChildProcess
  readonly lines: DevLine[] = []
  readonly ended: Promise<number | null>
  stderr = ''
  readonly #place: Workplace
  #more = Promise.withResolvers<void>()
  #taken = 0
  #isEnded = false

  private constructor(place: Workplace, child: ChildProcess) {
    this.#place = place
    this.child = child
    this.ended = once(child, 'close').then(([code]) => {
      this.#isEnded = true
      this.#more.resolve()
      return code as number | null
    })
    let rest = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      this.lines.push(...lines.map((line) => JSON.parse(line) as DevLine))
      this.#more.resolve()
      this.#more = Promise.withResolvers()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
  }

  static async start(place: Workplace, text: string, args: readonly string[] = []): Promise<DevProcess> {
    await prepare(place, text)
    const ports = ['--port', '0', '--platform-port', '0', '--json']
    return new DevProcess(place, place.spawn(['dev', 'app.ts', ...ports, ...args], {}))
  }

  save(text: string): Promise<void> {
    return writeFile(this.#place.path('app.ts'), text)
  }

  /** The next line that has this member; those before it are passed over. */
  async next(member: string): Promise<DevLine> {
    for (;;) {
      const line = this.lines[this.#taken]
      if (line === undefined) {
        if (this.#isEnded) throw new Error(`dev has ended: ${this.stderr}`)
        await this.#more.promise
        continue
      }
      this.#taken += 1
      if (member in line) return line
    }
  }
}

/** Puts the file of an application into a workplace, with what it imports. */
export async function prepare(place: Workplace, text: string): Promise<void> {
  await symlink(fileURLToPath(new URL('../../../node_modules', import.meta.url)), place.path('node_modules'))
  await writeFile(place.path('package.json'), '{"type":"module"}')
  await writeFile(place.path('app.ts'), text)
}
