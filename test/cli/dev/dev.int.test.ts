import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Workplace } from '../process.ts'
import { appSource, type DevLine, DevProcess } from './dev-process.ts'
import { Publishers } from './publishers.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

interface Started extends DevLine {
  readonly pid: number
  readonly urls: { readonly app: string; readonly platform: string }
}

const json = async (url: string) => (await fetch(url)).json()
const started = async (dev: DevProcess) => (await dev.next('started')) as unknown as Started

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Whether a stream says something; reads no further. */
async function firstOf({ body }: Response, pattern: RegExp): Promise<boolean> {
  let text = ''
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (pattern.test(text)) return true
  }
  return false
}

describe('a version that cannot be loaded', () => {
  test.each([
    ['a syntax error', 'const = 1', { path: 'app.ts', text: 'const = 1', line: 6, column: 7 }, /./],
    [
      'TypeScript that cannot be stripped',
      'enum Color { Red }',
      { text: 'enum Color { Red }', column: 1 },
      /enum/,
    ],
    ['what it throws', "throw new Error('no database')", { column: 7 }, /no database/],
    [
      'a name that is declared twice',
      'const twice = 1\nconst twice = 2',
      { column: 7 },
      /already been declared/,
    ],
    ['a handler without a name', "on([], { name: '' }, () => {})", { column: 1 }, /./],
    ['an import of nothing', "import './nowhere.ts'", { column: 11 }, /nowhere\.ts/],
  ])('is shown with its line: %s; the one before goes on', async (_what, before, where, message) => {
    const dev = await DevProcess.start(place, appSource({ version: 1 }))
    const { urls, pid } = await started(dev)
    await dev.save(appSource({ version: 2, before }))
    const failed = await dev.next('loadFailed')
    expect(failed).toMatchObject({ running: true, loadFailed: { place: where } })
    expect((failed.loadFailed as { message: string }).message).toMatch(message)
    expect(await json(`${urls.app}/version`)).toBe(1)
    expect(isAlive(pid)).toBe(true)
    await dev.save(appSource({ version: 3 }))
    await dev.next('reloaded')
    expect(await json(`${urls.app}/version`)).toBe(3)
  })

  test('as the first leaves the ports held and answering 503, until it is corrected', async () => {
    const dev = await DevProcess.start(place, appSource({ version: 1, before: 'let a: = 1' }), [
      '--port',
      '0',
    ])
    expect(await dev.next('loadFailed')).toMatchObject({ running: false })
    await dev.save(appSource({ version: 2 }))
    const { urls } = await started(dev)
    expect(await json(`${urls.app}/version`)).toBe(2)
    await dev.save(appSource({ version: 3, before: 'process.exit(3)' }))
    expect(await dev.next('loadFailed')).toMatchObject({
      running: true,
      loadFailed: { message: expect.stringContaining('exit code 3') },
    })
  })
})

describe('a version that loads and cannot start', () => {
  test('gives way to the one before, which is started again and has lost nothing', async () => {
    const dev = await DevProcess.start(place, appSource({ version: 1 }))
    const { urls } = await started(dev)
    const publishers = new Publishers(urls, { count: 2, again: false })
    await expect.poll(() => publishers.total, { timeout: 60_000 }).toBeGreaterThan(10)
    const handlers = "on(Counted, { name: 'another' }, () => {})"
    await dev.save(appSource({ version: 2, handlers }))
    expect(await dev.next('startFailed')).toMatchObject({
      startFailed: { code: 'FROM_REQUIRED' },
      running: true,
    })
    expect(await json(`${urls.app}/version`)).toBe(1)
    const twice = "http.get('/version', {}, () => Response.json(0)),"
    await dev.save(appSource({ version: 3, routes: twice }))
    expect(await dev.next('startFailed')).toMatchObject({
      startFailed: { code: 'APP_INVALID' },
      running: true,
    })
    await dev.save(appSource({ version: 4 }))
    await dev.next('reloaded')
    await publishers.stop()
    expect(publishers.refusals).toEqual([])
    for (const [name, n] of publishers.acknowledged) {
      const counts = () => json(`${urls.app}/counts/${name}`)
      await expect.poll(counts, { timeout: 60_000 }).toEqual({ handled: n, last: n, wrong: 0 })
    }
  })

  test('as the first says why to whoever asks, with APP_UNAVAILABLE', async () => {
    await place.run([
      'publish',
      'load.counted',
      '--data',
      '{"publisher":"a","n":1}',
      '--topic',
      'load',
      '--create-topic',
      '--log',
      'lmdb:.millrace',
    ])
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    await new Promise((resolve) => free.close(resolve))
    const handlers = "on(Counted, { name: 'another' }, () => {})"
    const dev = await DevProcess.start(place, appSource({ version: 1, handlers }), ['--port', String(port)])
    await dev.next('startFailed')
    const refused = await fetch(`http://127.0.0.1:${port}/version`)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toMatchObject({
      code: 'APP_UNAVAILABLE',
      detail: expect.stringContaining('FROM_REQUIRED'),
    })
  })
})

describe('what is watched', () => {
  test('is every file that was loaded, also in other folders, and one that is missing', async () => {
    await mkdir(place.path('lib'))
    await writeFile(
      place.path('lib/answer.ts'),
      "import { more } from '../more/more.ts'\nexport const answer = more\n",
    )
    const before = "import { answer } from './lib/answer.ts'"
    const routes = "http.get('/answer', {}, () => Response.json(answer)),"
    const dev = await DevProcess.start(place, appSource({ version: 1, before, routes }))
    expect(await dev.next('loadFailed')).toMatchObject({
      loadFailed: { place: { path: 'lib/answer.ts', line: 1 } },
    })
    await mkdir(place.path('more'))
    await writeFile(place.path('more/more.ts'), 'export const more = 1\n')
    const { urls } = await started(dev)
    expect(await json(`${urls.app}/answer`)).toBe(1)
    await writeFile(place.path('more/more.ts'), 'export const more = 2\n')
    await dev.next('reloaded')
    expect(await json(`${urls.app}/answer`)).toBe(2)
    // As many editors save: a new file takes the place of the old one.
    await writeFile(place.path('more/more.ts~'), 'export const more = 3\n')
    await rename(place.path('more/more.ts~'), place.path('more/more.ts'))
    await dev.next('reloaded')
    expect(await json(`${urls.app}/answer`)).toBe(3)
  })

  test('is not what the application writes', async () => {
    const before = "import { writeFileSync } from 'node:fs'\nwriteFileSync('written.json', '1')"
    const dev = await DevProcess.start(place, appSource({ version: 1, before }))
    const { urls } = await started(dev)
    await writeFile(place.path('written.json'), '2')
    await writeFile(place.path('notes.md'), 'nothing')
    await writeFile(place.path('new.ts'), 'export {}')
    await dev.next('reloaded')
    expect(await json(`${urls.app}/version`)).toBe(1)
    expect(dev.lines.filter((line) => 'reloaded' in line)).toHaveLength(1)
  })
})

describe('handing over', () => {
  test('waits for requests and handlers that run, and ends live connections, which go on where they were', async () => {
    const routes = `http.get('/slow', {}, async () => {
      await new Promise((resolve) => process.once('SIGUSR2', resolve))
      return Response.json(1)
    }),`
    const dev = await DevProcess.start(place, appSource({ version: 1, routes }))
    const { urls, pid } = await started(dev)
    const live = await fetch(`${urls.platform}/events/live`)
    const slow = json(`${urls.app}/slow`)
    const before = "import { writeFileSync } from 'node:fs'\nwriteFileSync('loaded', '')"
    await dev.save(appSource({ version: 2, before }))
    await expect.poll(() => existsSync(place.path('loaded')), { timeout: 60_000 }).toBe(true)
    process.kill(pid, 'SIGUSR2')
    const [, id = ''] = /^event: following\nid: (.*)/.exec(await live.text()) ?? []
    expect(await slow).toBe(1)
    await dev.next('reloaded')
    expect(await json(`${urls.app}/version`)).toBe(2)
    const publishers = new Publishers(urls, { count: 1, again: false })
    await expect.poll(() => publishers.total, { timeout: 60_000 }).toBeGreaterThan(0)
    await publishers.stop()
    const again = await fetch(`${urls.platform}/events/live`, { headers: { 'last-event-id': id } })
    expect(await firstOf(again, /"n":1/)).toBe(true)
  })

  test('does not wait for ever: what runs longer than the time for draining is cut off, and handled again', async () => {
    const routes = "http.get('/never', {}, () => new Promise(() => {})),"
    const dev = await DevProcess.start(
      place,
      appSource({ version: 1, routes, inHandler: 'await new Promise(() => {})' }),
    )
    const { urls } = await started(dev)
    const publishers = new Publishers(urls, { count: 1, again: false })
    await expect.poll(() => publishers.total, { timeout: 60_000 }).toBeGreaterThan(3)
    const never = fetch(`${urls.app}/never`)
    await publishers.stop()
    await dev.save(appSource({ version: 2 }))
    const cut = await never
    expect([cut.status, await cut.json()]).toMatchObject([503, { code: 'APP_UNAVAILABLE' }])
    await dev.next('reloaded')
    const n = publishers.total
    await expect
      .poll(() => json(`${urls.app}/counts/p0`), { timeout: 60_000 })
      .toEqual({ handled: n, last: n, wrong: 0 })
  })
})

describe('a request', () => {
  test('that its client gives up, while it is answered or its body is sent, harms no other', async () => {
    const routes = "http.get('/never', {}, () => new Promise(() => {})),"
    const dev = await DevProcess.start(place, appSource({ version: 1, routes }))
    const { urls } = await started(dev)
    const target = new URL(urls.app)
    for (const head of ['GET /never HTTP/1.1\r\n', 'POST /count HTTP/1.1\r\ncontent-length: 9\r\n']) {
      const socket = connect(Number(target.port), target.hostname)
      await once(socket, 'connect')
      await new Promise((sent) => socket.write(`${head}host: localhost\r\n\r\n{`, sent))
      socket.destroy()
      await once(socket, 'close')
    }
    expect(await json(`${urls.app}/version`)).toBe(1)
    const broken = connect(Number(target.port), target.hostname, () => broken.write('nonsense\r\n\r\n'))
    expect(await text(broken)).toMatch(/^HTTP\/1.1 400 .*"code":"REQUEST_INVALID"/s)
    await dev.save(appSource({ version: 2 }))
    await dev.next('reloaded')
    expect(await json(`${urls.app}/version`)).toBe(2)
  })

  test('reaches the application as it was sent, and so does the answer', async () => {
    const routes = `http.post('/echo', { body: z.unknown() }, (request) => {
      const answer = Response.json({ url: request.url.href, a: request.headers.get('x-a'), body: request.body }, { status: 207 })
      answer.headers.append('set-cookie', 'a=1')
      answer.headers.append('set-cookie', 'b=2')
      return answer
    }),`
    const dev = await DevProcess.start(place, appSource({ version: 1, routes }))
    const { urls } = await started(dev)
    const body = JSON.stringify('x'.repeat(500_000))
    const chunks = new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode(body))
        controller.close()
      },
    })
    const headers = { 'content-type': 'application/json', 'x-a': 'ä' }
    const answer = await fetch(`${urls.app}/echo?q=%20`, {
      method: 'POST',
      headers,
      body: chunks,
      duplex: 'half',
    })
    expect(answer.status).toBe(207)
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await answer.json()).toEqual({ url: `${urls.app}/echo?q=%20`, a: 'ä', body: JSON.parse(body) })
  })
})

describe('a process that ends', () => {
  test('by SIGKILL under load is started again, and what was acknowledged is handled once', async () => {
    const dev = await DevProcess.start(place, appSource({ version: 1 }))
    const { urls, pid } = await started(dev)
    const publishers = new Publishers(urls, { count: 6, again: true })
    await expect.poll(() => publishers.total, { timeout: 60_000 }).toBeGreaterThan(50)
    process.kill(pid, 'SIGKILL')
    expect(await dev.next('crashed')).toMatchObject({ signal: 'SIGKILL', pid })
    await dev.next('reloaded')
    const enough = publishers.total + 50
    await expect.poll(() => publishers.total, { timeout: 60_000 }).toBeGreaterThan(enough)
    await publishers.stop()
    expect(publishers.refusals.every((text) => /^503 .*"code":"APP_UNAVAILABLE"/.test(text))).toBe(true)
    for (const [name, n] of publishers.acknowledged) {
      const counts = () => json(`${urls.app}/counts/${name}`)
      await expect.poll(counts, { timeout: 60_000 }).toEqual({ handled: n, last: n, wrong: 0 })
    }
  })

  test('again and again is started again later each time, and at once after a save', async () => {
    const before = 'export const main = () => process.exit(7)'
    const dev = await DevProcess.start(place, appSource({ version: 1, before }))
    const waits: unknown[] = []
    while (waits.length < 3) waits.push((await dev.next('crashed')).againInMs)
    expect(waits).toEqual([100, 200, 400])
    await dev.save(appSource({ version: 2 }))
    await expect.poll(() => dev.lines.at(-1), { timeout: 60_000 }).toHaveProperty('reloaded')
  })

  test('ends with its supervisor, though that is killed', async () => {
    const dev = await DevProcess.start(place, appSource({ version: 1 }))
    const { pid } = await started(dev)
    dev.child.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 60_000 }).toBe(false)
  })

  test('because it is told to drains first, and so ends everything with exit code 0', async () => {
    const inHandler = "await new Promise((resolve) => setTimeout(resolve, 300)); console.log('handled')"
    const dev = await DevProcess.start(place, appSource({ version: 1, inHandler }))
    const { urls, pid } = await started(dev)
    const body = JSON.stringify({ publisher: 'a', n: 1 })
    await fetch(`${urls.app}/count`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    await expect
      .poll(() => json(`${urls.platform}/handlers`), { timeout: 60_000 })
      .toMatchObject({ handlers: [{ inFlight: 1 }] })
    dev.child.kill('SIGINT')
    expect(await dev.ended).toBe(0)
    expect(dev.lines.at(-1)).toEqual({ stopping: true })
    expect(dev.stderr).toBe('handled\n')
    expect(isAlive(pid)).toBe(false)
  })
})

describe('misuse', () => {
  test('a file that is not there is told at once', async () => {
    const { code, stderr } = await place.run(['dev', 'nowhere.ts'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: COMMAND_INVALID: There is no such file\. \(nowhere\.ts\)/)
  })

  test('a port that is taken is PORT_IN_USE, with the option that chooses another', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    await writeFile(place.path('app.ts'), '')
    const taken = String((other.address() as AddressInfo).port)
    const { code, stderr } = await place.run(['dev', 'app.ts', '--platform-port', '0', '--port', taken])
    await new Promise((resolve) => other.close(resolve))
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: PORT_IN_USE: .* --port\.\n$/)
  })
})
