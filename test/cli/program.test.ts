import { readFile } from 'node:fs/promises'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'

async function runHere(args: readonly string[]) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await run(args, {
    stdout,
    stderr,
    stdin: Readable.from([]),
    environment: {},
    runtime: new ManualRuntime(),
  })
  const text = (stream: PassThrough) => String(stream.read() ?? '')
  return { code, stdout: text(stdout), stderr: text(stderr) }
}

describe('the command line', () => {
  test.each([
    [['unknown']],
    [['publish', 'a.b']],
    [['publish', 'a.b', '--data', '1', '--source', 'no uri']],
    [['publish', 'a.b', '--data', '1', '--time', 'soon']],
    [['publish', 'a.b', '--data', '1', '--topic', 'no topic']],
    [['publish', 'a.b', '--data', '1', '--topic', 'millrace.shop.ticks', '--create-topic']],
    [['ingest', 'x', '--type', 'a.b', '--topic', 'millrace.shop.ticks']],
    [['ingest', 'x', '--type', 'a.b', '--source', 'no uri']],
    [['tail', '--from', 'soon']],
    [['tail', '--from', '7']],
    [['tail', '--limit', '0']],
    [['tail', '--unknown']],
    [['ingest', 'x', 'y']],
    [['ingest', 'x', '--on-error', 'panic']],
    [['inspect', '--url', 'nonsense']],
    [['inspect', '--url', 'http://127.0.0.1:1', '--log', 'memory:']],
    [['start', 'x', '--port', '70000']],
  ])('%j is misuse: exit code 2 and one line', async (args) => {
    const ended = await runHere(args)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(/^error: COMMAND_INVALID: [^\n]+\n$/)
  })

  test('a refused attribute names the option that gave it', async () => {
    const publish = ['publish', 'a.b', '--data', '1', '--log', 'memory:']
    const long = await runHere([...publish, '--key', 'k'.repeat(513)])
    expect(long.stderr).toMatch(/^error: KEY_TOO_LONG: .*\(--key\)/)
    const odd = await runHere([...publish, '--source', 'no uri'])
    expect(odd.stderr).toMatch(/\(--source\)/)
  })

  test('--version shows the version of the package', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { readonly version: string }
    expect(await runHere(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('misuse with --json is one object on standard error', async () => {
    const { code, stdout, stderr } = await runHere(['tail', '--json', '--unknown'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'COMMAND_INVALID' } })
  })

  test('without a command the commands are shown, and it is misuse', async () => {
    const { code, stderr } = await runHere([])
    expect(code).toBe(2)
    expect(stderr).toContain('ingest')
    expect(stderr).toMatch(/error: COMMAND_INVALID: No command was given\.[^\n]*\n$/)
  })

  test.each([[['--help']], [['ingest', '--help']], [['help', 'tail']]])('%j exits with 0', async (args) => {
    const { code, stdout, stderr } = await runHere(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: millrace/)
  })

  test.each([
    ['lmdb:', 'LOG_URL_INVALID'],
    ['nothing', 'LOG_URL_INVALID'],
    ['memory:x', 'LOG_URL_INVALID'],
    ['floppy:a', 'ENGINE_UNKNOWN'],
    ['lmdb:/nowhere/at/all', 'UNREACHABLE'],
  ])('the log %s fails with %s', async (log, code) => {
    const ended = await runHere(['inspect', '--log', log])
    expect(ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(`^error: ${code}: `) })
  })

  test('without an application events need a topic that is there, or that may be created', async () => {
    const args = ['publish', 'a.b', '--data', '1', '--log', 'memory:']
    const unnamed = await runHere(args)
    const missing = await runHere([...args, '--topic', 't'])
    for (const { code, stderr } of [unnamed, missing]) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: TOPIC_UNKNOWN: .*--create-topic/)
    }
    expect(await runHere([...args, '--topic', 't', '--create-topic'])).toMatchObject({ code: 0, stderr: '' })
  })
})
