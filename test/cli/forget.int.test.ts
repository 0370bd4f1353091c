import { writeFile } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { shopFile, Workplace } from './process.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
  const source = new URL('../../src/index.ts', import.meta.url).href
  await writeFile(
    place.path('without.ts'),
    `import { app } from '${source}'\nexport default app({ name: 'shop', handlers: [] })\n`,
  )
  const { child, ended, urls } = await place.start(['--log', 'lmdb:log'])
  const publish = ['publish', 'shop.order.placed', '--data', '{"n":1,"sku":"a"}', '--url', urls.platform]
  expect(await place.run(publish)).toMatchObject({ code: 0 })
  await expect
    .poll(async () => (await fetch(`${urls.app}/seen/a`)).json(), { timeout: 60_000 })
    .toEqual({ seen: 1 })
  child.kill('SIGTERM')
  await ended
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const log = ['--log', 'lmdb:log']
const gone = ['--app', 'without.ts', ...log]

describe('millrace forget', () => {
  test('only tells what there is with --dry-run, and then drops it with --yes', async () => {
    const dry = await place.run(['forget', 'count', '--dry-run', '--json', ...gone])
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    const groups = [
      { group: 'shop', partitions: 16, records: 0, parkedKeys: 0, deadLetters: 0, stateValues: 1 },
    ]
    expect(JSON.parse(dry.stdout)).toMatchObject({ handler: 'count', forgotten: false, dryRun: true, groups })
    const done = await place.run(['forget', 'count', '--yes', ...gone])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain(
      "Handler 'count' of the group 'shop', in 16 partitions:\n  0 records not done\n",
    )
    expect(done.stdout).toContain('  1 value of its state\n')
    expect(done.stdout).toMatch(/It is forgotten\.\n$/)
    const again = await place.run(['forget', 'count', '--yes', ...gone])
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: HANDLER_UNKNOWN: .*'count'/),
    })
  })

  test('is misuse where nobody can be asked, and touches nothing', async () => {
    for (const more of [[], ['--json']]) {
      const asked = await place.run(['forget', 'count', ...gone, ...more])
      expect(asked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--yes') })
    }
    expect(await place.run(['forget', 'count', '--dry-run', ...gone])).toMatchObject({ code: 0 })
  })

  test('refuses what cannot be forgotten, with a code and on one line', async () => {
    const refused = [
      ['count', shopFile, 'lmdb:log', 'HANDLER_PRESENT'],
      ['cuont', 'without.ts', 'lmdb:log', 'HANDLER_UNKNOWN'],
      ['count', 'without.ts', 'lmdb:elsewhere', 'UNREACHABLE'],
      ['count', 'nowhere.ts', 'lmdb:log', 'APP_LOAD_FAILED'],
    ] as const
    for (const [handler, file, url, code] of refused) {
      const { stderr, ...ended } = await place.run(['forget', handler, '--app', file, '--log', url, '--yes'])
      expect(ended, code).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(new RegExp(`^error: ${code}: [^\\n]+\\n$`))
    }
  })

  test('says what to do about a log that a process has open', async () => {
    const { child, ended } = await place.start(log)
    const { code, stderr } = await place.run(['forget', 'count', '--yes', ...gone])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: LOG_IN_USE: .*--forget count/)
    child.kill('SIGTERM')
    await ended
  })

  test.each([
    ['y\n', 'It is forgotten.', 'HANDLER_UNKNOWN'],
    ['no\n', 'Nothing was forgotten.', undefined],
    ['', 'Nothing was forgotten.', undefined],
  ])('asks on a terminal: %j is "%s"', async (answer, told, afterwards) => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const args = ['forget', 'count', '--app', place.path('without.ts'), '--log', `lmdb:${place.path('log')}`]
    stdin.end(answer)
    expect(await run(args, { stdin, stdout, stderr, environment: {}, runtime: realRuntime() })).toBe(0)
    expect(String(stderr.read())).toContain('Forget all of it for good? [y/N]')
    expect(String(stdout.read())).toContain(told)
    const { stderr: left } = await place.run(['forget', 'count', '--dry-run', ...gone])
    if (afterwards === undefined) expect(left).toBe('')
    else expect(left).toContain(afterwards)
  })
})

test('start --forget refuses a name that has left nothing behind', async () => {
  const start = ['start', 'without.ts', '--port', '0', '--platform-port', '0', ...log]
  const { code, stderr } = await place.run([...start, '--forget', 'cuont'])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: HANDLER_UNKNOWN: .*'cuont'/)
})
