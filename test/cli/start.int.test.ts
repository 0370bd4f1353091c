import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { shopFile, Workplace } from './process.ts'

const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)))

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

describe('start', () => {
  test('serves both ports, and answers a route from the state of a handler', async () => {
    const { urls } = await place.start(['--log', 'memory:'])
    const data = '{"n":1,"sku":"a"}'
    await place.run(['publish', 'shop.order.placed', '--data', data, '--url', urls.platform])
    const ready = await fetch(`${urls.platform}/health/ready`)
    expect(ready.status).toBe(200)
    await expect
      .poll(async () => (await fetch(`${urls.app}/seen/a`)).json(), { timeout: 60_000 })
      .toEqual({ seen: 1 })
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('stops gracefully on %s, with exit code 0', async (signal) => {
    const { child, ended } = await place.start(['--log', 'memory:'])
    child.kill(signal)
    expect(await ended).toBe(0)
  })

  test('ends when it is told to, whatever main has left open', async () => {
    const environment = { SHOP_MAIN: 'lingers' }
    const { child, ended, stderr } = await place.start(['--log', 'memory:'], { environment })
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(await stderr).toBe('')
  })

  test('says in words what runs and where', async () => {
    const child = place.spawn(
      ['start', shopFile, '--log', 'memory:', '--port', '0', '--platform-port', '0'],
      {},
    )
    let stdout = ''
    child.stdout?.on('data', (chunk: Uint8Array) => {
      stdout += Buffer.from(chunk).toString()
    })
    await expect.poll(() => stdout, { timeout: 60_000 }).toContain('handlers  count')
    expect(stdout).toMatch(/^shop is running\n {2}platform {2}http:\/\/127\.0\.0\.1:\d+\n {2}routes/)
  })

  test('shows the error of main, and stops', async () => {
    const ports = ['--port', '0', '--platform-port', '0']
    const { code, stderr } = await place.run(['start', shopFile, '--log', 'memory:', ...ports], {
      environment: { SHOP_MAIN: 'fails' },
    })
    expect(code).toBe(1)
    expect(stderr).toBe('error: Error: main gave up\n')
  })

  test('tells on the terminal what a route threw, and the caller nothing of it', async () => {
    const child = place.spawn(
      ['start', shopFile, '--log', 'memory:', '--port', '0', '--platform-port', '0'],
      {},
    )
    let [stdout, stderr] = ['', '']
    child.stdout?.on('data', (chunk: Uint8Array) => {
      stdout += Buffer.from(chunk).toString()
    })
    child.stderr?.on('data', (chunk: Uint8Array) => {
      stderr += Buffer.from(chunk).toString()
    })
    await expect.poll(() => stdout, { timeout: 60_000 }).toContain('handlers  count')
    const [, routes] = /routes {4}(\S+)/.exec(stdout) ?? []
    const answer = await fetch(`${routes}/broken`)
    expect(await answer.text()).not.toContain('no printer')
    const line = `warning: A request failed. Error: no printer { method: 'GET', url: '/broken' }\n`
    await expect.poll(() => stderr).toBe(line)
  })

  test('a port that is taken is PORT_IN_USE', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const taken = String((other.address() as AddressInfo).port)
    const ended = await place.run(['start', shopFile, '--log', 'memory:', '--platform-port', taken])
    await new Promise((resolve) => other.close(resolve))
    expect(ended).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: PORT_IN_USE: .*--platform-port\.\n$/),
    })
  })
})

describe('the file of an application', () => {
  test.each([
    ['throws', `const a = 1\nthrow new Error('no database')\n`, 'no database.*bad\\.ts:2: throw new Error'],
    ['is no TypeScript', `\n\nconst = 1\n`, 'bad\\.ts:3: const = 1'],
    ['exports nothing', `export const a = 1\n`, 'no default export.*bad\\.ts'],
    ['exports something else', `export default { name: 'shop' }\n`, 'Its default export is none.*bad\\.ts'],
    ['imports what is not there', `import './nowhere.ts'\n`, 'nowhere\\.ts'],
  ])('that %s is APP_LOAD_FAILED, in one line', async (_how, text, message) => {
    await writeFile(place.path('bad.ts'), text)
    const { code, stderr } = await place.run(['start', 'bad.ts', '--log', 'memory:'])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^error: APP_LOAD_FAILED: .*${message}.*\\n$`))
  })

  test('that Node.js takes for CommonJS is told how it becomes a module', async () => {
    await writeFile(place.path('package.json'), '{"type":"commonjs"}')
    await writeFile(place.path('app.ts'), `import 'node:fs'\nexport default 1\n`)
    const { stderr } = await place.run(['start', 'app.ts', '--log', 'memory:'])
    expect(stderr).toMatch(/error: APP_LOAD_FAILED: .*app\.ts:1.* npm pkg set type=module\.\n$/)
  })

  test('that is a folder is APP_LOAD_FAILED', async () => {
    const { stderr } = await place.run(['start', '.', '--log', 'memory:'])
    expect(stderr).toMatch(/^error: APP_LOAD_FAILED: This is no file\. \(\.\)/)
  })

  test('that is not there is APP_LOAD_FAILED', async () => {
    const { code, stderr } = await place.run(['start', 'nowhere.ts', '--log', 'memory:'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: APP_LOAD_FAILED: There is no such file\. \(nowhere\.ts\)/)
  })

  test('keeps the code of its own mistake, with the line', async () => {
    const text = `import { every } from ${source('bus/definitions.ts')}\n\nevery('never', { name: 'a' }, () => {})\n`
    await writeFile(place.path('cron.ts'), text)
    const { stderr } = await place.run(['start', 'cron.ts', '--log', 'memory:'])
    expect(stderr).toMatch(/^error: CRON_INVALID: .*cron\.ts:3: every\('never'.*\n$/)
  })
})
