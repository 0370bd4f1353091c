/**
 * Goal: whoever gets a field wrong is told which. Method: wrong programs are compiled, each by itself, and what the
 * compiler says of it is read.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

const shared = `
import { command, event, failed, on, type RunningApp } from '${root}src/index.ts'
import { z } from 'zod'
const Reserve = command('shop.reserve', {
  schema: z.object({ sku: z.string(), quantity: z.int() }),
  result: z.object({ reservation: z.string(), left: z.number() }),
  failure: z.object({ reason: z.enum(['sold-out', 'unknown']) }),
})
const Placed = event('shop.placed', { schema: z.object({ orderId: z.string() }) })
export const parts = { Reserve, Placed, failed, on }
export type Parts = RunningApp
`

const wrong: readonly (readonly [what: string, program: string, message: RegExp])[] = [
  [
    'a result with a field of the wrong type',
    "on(Reserve, { name: 'a' }, async ({ data }) => ({ reservation: data.quantity, left: 1 }))",
    /property 'reservation' are incompatible/,
  ],
  [
    'a result without a field',
    "on(Reserve, { name: 'a' }, () => ({ reservation: 'r' }))",
    /Property 'left' is missing/,
  ],
  [
    'a failure with a field of the wrong type',
    "on(Reserve, { name: 'a' }, async () => failed({ reason: 'lost' }))",
    /property 'reason' are incompatible/,
  ],
  [
    'a failure without a field',
    "on(Reserve, { name: 'a' }, () => failed({}))",
    /Property 'reason' is missing/,
  ],
  [
    'a command without a field of its data',
    "(running: Parts) => running.request(Reserve, { sku: 'a' })",
    /Property 'quantity' is missing/,
  ],
  [
    'a command with a field too many',
    "(running: Parts) => running.submit(Reserve, { sku: 'a', quantity: 1, colour: 'red' })",
    /'colour' does not exist/,
  ],
  [
    'an emitted event without a field',
    "on(Placed, { name: 'a' }, (_, ctx) => ctx.emit(Placed, {}))",
    /Property 'orderId' is missing/,
  ],
]

let folder: string
let output: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-types-'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const options = { noUnusedLocals: false, noUnusedParameters: false, rewriteRelativeImportExtensions: false }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions: options, include: ['*.ts'] }),
  )
  await writeFile(join(folder, 'shared.ts'), shared)
  const head =
    "import { parts, type Parts } from './shared.ts'\nconst { Reserve, Placed, failed, on } = parts\n"
  for (const [index, [, program]] of wrong.entries()) {
    await writeFile(join(folder, `wrong-${index}.ts`), `${head}export const program = ${program}\n`)
  }
  output = await compile()
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** What the compiler says, wherever in the programs. */
function compile(): Promise<string> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '--pretty', 'false'], { cwd: folder }, (_, stdout) => resolve(stdout))
  })
}

/** What it says of one file: its lines, and those that explain them. */
function saidOf(file: string): string {
  const blocks = output.split(/\n(?=\S)/)
  return blocks.filter((block) => block.startsWith(`${file}(`)).join('\n')
}

describe('the message names the field', () => {
  it.each(wrong.map(([what, , message], index) => ({ what, message, index })))(
    'of $what',
    ({ message, index }) => {
      expect(saidOf(`wrong-${index}.ts`)).toMatch(message)
    },
  )

  it('and what they share compiles', () => {
    expect(saidOf('shared.ts')).toBe('')
  })
})
