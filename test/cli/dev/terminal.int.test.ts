import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Workplace } from '../process.ts'
import { appSource, prepare } from './dev-process.ts'

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
/** util-linux has it; the one of other systems takes other arguments. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0
if (!hasScript) console.warn('SKIPPED: the live view in a terminal needs the command `script` of util-linux.')

let place: Workplace
let child: ChildProcess | undefined

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await place[Symbol.asyncDispose]()
})

test.skipIf(!hasScript)('a terminal gets the live view, whose keys work, and is left as it was', async () => {
  await prepare(place, appSource({ version: 1 }))
  const bin = place.path('bin')
  await mkdir(bin)
  await writeFile(`${bin}/xdg-open`, `#!/bin/sh\necho "$1" > ${place.path('opened')}\n`)
  await chmod(`${bin}/xdg-open`, 0o755)
  const dev = `'${process.execPath}' -C millrace-source '${main}' dev app.ts --port 0 --platform-port 0`
  const { NO_COLOR: _color, ...env } = process.env
  child = spawn('script', ['-qfec', `stty rows 40 cols 100; ${dev}; stty -a`, '/dev/null'], {
    cwd: place.folder,
    env: { ...env, SHELL: '/bin/sh', TERM: 'xterm', PATH: `${bin}:${process.env.PATH}` },
  })
  let written = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    written += text
  })
  const shows = (pattern: RegExp) =>
    expect.poll(() => stripVTControlCharacters(written), { timeout: 60_000 }).toMatch(pattern)
  const press = (keys: string) => child?.stdin?.write(keys)

  await shows(/load {2}running, not reloaded yet {2}http/)
  const [, platform = ''] = /platform {2}(\S+)/.exec(stripVTControlCharacters(written)) ?? []
  await fetch(`${platform}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: '{"specversion":"1.0","id":"1","source":"/t","type":"load.counted","data":{"publisher":"me","n":1}}',
  })
  await shows(/load\.counted {2}me {2}now/)
  await shows(/count +1 +0 +0 +0 +0 +0/)
  press('/zzz\r')
  await shows(/EVENTS {2}1 since the start, none shown/)
  press('o')
  await expect
    .poll(() => readFile(place.path('opened'), 'utf8').catch(() => ''), { timeout: 60_000 })
    .toBe(`${platform}\n`)
  press('r')
  await shows(/load {2}running, reloaded once/)
  press('q')
  await once(child, 'close')
  expect(stripVTControlCharacters(written)).toMatch(/Stopping: .*[\s\S]*[^-]\bicanon\b/)
})
