import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Workplace } from './process.ts'

const shells = {
  bash: ['bash', '--norc', '--noprofile', '-i'],
  zsh: ['zsh', '-f', '-i'],
  fish: ['fish', '--no-config', '-i'],
} as const

type Shell = keyof typeof shells

/** What makes a shell tell with which arguments `millrace` would have been run, and what loads the completion. */
const setUp: Readonly<Record<Shell, string>> = {
  bash: `millrace() { printf 'ran<%s>' "$*"; }; source ./completion.bash; printf 're%s' ady`,
  zsh: `autoload -U compinit && compinit -u -D; millrace() { printf 'ran<%s>' "$*"; }; source ./completion.zsh; printf 're%s' ady`,
  fish: `function millrace; printf 'ran<%s>' "$argv"; end; source ./completion.fish; printf 're%s' ady`,
}

const isThere = (command: string) => spawnSync('which', [command]).status === 0
const missing = ['script', ...Object.keys(shells)].filter((command) => !isThere(command))
if (missing.length > 0) console.warn(`SKIPPED: completion is not tried without ${missing.join(', ')}.`)

let place: Workplace

beforeAll(async () => {
  place = await Workplace.make()
  for (const shell of Object.keys(shells)) {
    const { stdout, stderr, code } = await place.run(['completion', shell])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    writeFileSync(place.path(`completion.${shell}`), stdout)
  }
  writeFileSync(place.path('orders app.ts'), '')
  mkdirSync(place.path('folder'))
  mkdirSync(place.path('list'))
})

afterAll(() => place[Symbol.asyncDispose]())

/** Types into a shell on a terminal; gives the arguments with which the command was run. */
async function typed(shell: Shell, keys: string): Promise<string | undefined> {
  const terminal = spawn('script', ['-qec', shells[shell].join(' '), '/dev/null'], {
    cwd: place.folder,
    env: { ...process.env, TERM: 'dumb', PS1: '', HISTFILE: '' },
  })
  let seen = ''
  const until = (pattern: RegExp) =>
    new Promise<string | undefined>((resolve) => {
      const look = () => {
        const found = pattern.exec(seen)
        if (found !== null) resolve(found[1])
      }
      terminal.stdout.on('data', (chunk: Uint8Array) => {
        seen += Buffer.from(chunk).toString()
        look()
      })
      terminal.once('close', () => resolve(undefined))
      look()
    })
  terminal.stdin.write(`${setUp[shell]}\r`)
  await until(/(ready)/)
  terminal.stdin.write(`${keys}\r`)
  const args = await until(/ran<([^>%]*)>/)
  terminal.kill('SIGKILL')
  return args
}

const tab = '\t'

for (const shell of Object.keys(shells) as Shell[]) {
  describe.skipIf(!isThere('script') || !isThere(shell))(`in ${shell}, on a terminal, TAB completes`, () => {
    test.each([
      ['a command', `millrace insp${tab}`, 'inspect'],
      ['a command of a command', `millrace dead-l${tab}disc${tab}`, 'dead-letters discard'],
      ['an option', `millrace tail --foll${tab}`, 'tail --follow'],
      [
        'an option behind the value of another',
        `millrace tail --topic tail --foll${tab}`,
        'tail --topic tail --follow',
      ],
      ['one of a few values', `millrace ingest x --format c${tab}`, 'ingest x --format csv'],
      ['the file of an application', `millrace start ord${tab}--js${tab}`, 'start orders app.ts --json'],
      ['the file of an option', `millrace publish --app ord${tab}`, 'publish --app orders app.ts'],
      ['a shell', `millrace completion fi${tab}`, 'completion fish'],
      ['what help is asked for', `millrace help inge${tab}`, 'help ingest'],
    ])('%s', async (_what, keys, args) => {
      expect((await typed(shell, keys))?.trim()).toBe(args)
    })
  })
}

/** The words that bash offers for the last one. */
function offered(...words: readonly string[]): readonly string[] {
  const script = `source ./completion.bash
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['-c', script, 'bash', 'millrace', ...words], { cwd: place.folder })
  return output
    .toString()
    .split('\n')
    .filter((word) => word !== '')
}

describe.skipIf(!isThere('bash'))('bash is offered', () => {
  test('every command that help lists, and nothing else', async () => {
    const { stdout } = await place.run(['--help'])
    const listed = [...stdout.slice(stdout.indexOf('Commands:')).matchAll(/^ {2}([a-z-]+)/gm)].map(
      ([, name]) => name,
    )
    expect(listed).toContain('dead-letters')
    expect(offered('')).toEqual(listed)
  })

  test.each(['start', 'publish', 'ingest', 'tail', 'doctor', 'forget', 'init'])(
    'every option that the help of %s lists, and nothing else',
    async (command) => {
      const { stdout } = await place.run([command, '--help'])
      const listed = [...stdout.matchAll(/^ {2}(?:(-\w), )?(--[a-z-]+)/gm)].flatMap(([, short, long]) => [
        long,
        short,
      ])
      expect(listed).toContain('--json')
      expect(offered(command, '-')).toEqual(listed.filter((option) => option !== undefined))
    },
  )

  test('nothing where a value cannot be known, whatever was typed before', () => {
    expect(offered('start', 'app.ts', '--port', '')).toEqual([])
    expect(offered('publish', 'dead-letters', '')).toEqual([])
    expect(offered('nothing-of-ours', '-')).toEqual(offered('-'))
  })

  test('the values of an option also behind an equals sign, which bash takes for a word', () => {
    expect(offered('ingest', '--format', '=', 'j')).toEqual(['json'])
    expect(offered('ingest', '--format', '=')).toEqual(['auto', 'json', 'csv'])
    expect(offered('ingest', '--format', '=', 'csv', '--on-error', '')).toEqual(['stop', 'skip'])
  })

  test('nothing that what was typed could run', () => {
    expect(offered('tail', '$(touch owned)', '`touch owned`', '--foll')).toEqual(['--follow'])
    expect(spawnSync('ls', [place.path('owned')]).status).not.toBe(0)
  })
})

test('another shell is misuse', async () => {
  const { code, stderr } = await place.run(['completion', 'powershell'])
  expect(code).toBe(2)
  expect(stderr).toMatch(/^error: COMMAND_INVALID: .*bash, zsh, fish/)
})
