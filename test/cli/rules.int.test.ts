import { writeFile } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { printRules } from '../../src/cli/commands/rule-views.ts'
import { Output, type OutputStream } from '../../src/cli/output.ts'
import { type Started, Workplace } from './process.ts'

let place: Workplace
let shop: Started
let url: readonly string[]

const drop = { name: 'drop', actions: [{ drop: true }], pattern: { data: { quantity: [1] } } }

beforeAll(async () => {
  place = await Workplace.make()
  shop = await place.start(['--log', 'memory:'])
  url = ['--url', shop.urls.platform]
  await writeFile(place.path('drop.json'), JSON.stringify(drop))
  await writeFile(place.path('wrong.json'), JSON.stringify({ ...drop, name: 'wrong', when: 'event.' }))
  await writeFile(place.path('none.json'), '[]')
  await writeFile(place.path('no-json.json'), '{')
})

afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

test('with --json every command answers in one object', async () => {
  const json = async (args: readonly string[], input?: string) => {
    const ended = await place.run([...args, '--json', ...url], input === undefined ? {} : { input })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    return JSON.parse(ended.stdout)
  }
  expect(await json(['rules', 'put', 'drop.json', '--by', 'ada'])).toEqual({ change: 'put', rules: 1 })
  expect(await json(['rules', 'disable', 'drop'])).toEqual({ change: 'disable', name: 'drop' })
  expect(await json(['rules', 'list'])).toMatchObject({
    policy: 'all',
    rules: [{ rule: { enabled: false } }],
  })
  expect(await json(['rules', 'enable', 'drop'])).toEqual({ change: 'enable', name: 'drop' })
  expect(await json(['rules', 'show', 'drop'])).toMatchObject({ rule: { ...drop, enabled: true } })
  expect(await json(['rules', 'try', '-', '--limit', '5'], JSON.stringify([drop]))).toMatchObject({
    looked: 0,
  })
  expect(await json(['route', '--event', '-'], '{"type":"no.such","data":{"quantity":1}}')).toMatchObject({
    hiddenBy: 'drop',
    rules: [{ name: 'drop', matches: true, acts: true }],
  })
  expect(await json(['rules', 'policy', 'exclusive'])).toEqual({ change: 'policy', policy: 'exclusive' })
  expect(await json(['rules', 'remove', 'drop'])).toEqual({ change: 'remove', name: 'drop' })
  expect(await json(['rules', 'history'])).toMatchObject({ changes: [{ by: 'ada' }, {}, {}, {}, {}] })
})

test.each([
  [['rules', 'put', 'wrong.json'], 1, 'RULE_INVALID'],
  [['rules', 'put', 'none.json'], 1, 'REQUEST_INVALID'],
  [['rules', 'put', 'no-json.json'], 1, 'JSON_INVALID'],
  [['rules', 'put', 'missing.json'], 1, 'FILE_UNREADABLE'],
  [['rules', 'put'], 2, 'COMMAND_INVALID'],
  [['rules', 'show', 'nobody'], 1, 'RULE_UNKNOWN'],
  [['rules', 'enable', 'nobody'], 1, 'RULE_UNKNOWN'],
  [['rules', 'policy', 'some'], 2, 'COMMAND_INVALID'],
  [['rules', 'try', '--topic', 'nowhere'], 1, 'TOPIC_UNKNOWN'],
  [['rules', 'try', '--limit', '0'], 2, 'COMMAND_INVALID'],
  [['rules', 'try', '--from', 'yesterday'], 1, 'REQUEST_INVALID'],
  [['route'], 2, 'COMMAND_INVALID'],
  [['route', '--event', 'none.json'], 1, 'REQUEST_INVALID'],
])('%j ends with %i and %s', async (args, code, expected) => {
  const ended = await place.run([...args, ...url])
  expect(ended).toMatchObject({ code, stdout: '' })
  expect(ended.stderr).toContain(expected)
})

test('without an application that runs it is said so', async () => {
  const ended = await place.run(['rules', 'list', '--url', 'http://127.0.0.1:9'])
  expect(ended).toMatchObject({ code: 1, stdout: '' })
  expect(ended.stderr).toContain('UNREACHABLE')
})

test('no line of the list is longer than the terminal is wide', async () => {
  const stdout = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true, columns: 80 })
  const output = new Output({ stdout: stdout as OutputStream, stderr: stdout, json: false, verbose: false })
  const counts = { matched: 1, acted: 1, failed: 0, conflicts: 0 }
  const rule = {
    name: 'drop',
    actions: [{ drop: true as const }],
    when: `event.data.note == '${'x'.repeat(90)}'`,
  }
  await printRules(output, { policy: 'all', rules: [{ rule, counts }] })
  const lines = String(stdout.read()).trimEnd().split('\n')
  expect(lines).toHaveLength(3)
  expect(Math.max(...lines.map((line) => line.length))).toBe(80)
})
