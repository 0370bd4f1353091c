import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Started, Workplace } from '../cli/process.ts'

const file = fileURLToPath(new URL('../../examples/dead-letters/app.ts', import.meta.url))
const page = readFileSync('docs/commands/dead-letters.md', 'utf8')
const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
)

/** The environment and the arguments of a line of the page. */
function parse(line: string): { readonly carriers: string | undefined; readonly args: readonly string[] } {
  const [, carriers, rest = ''] = /^(?:CARRIERS=(\S+) )?npx millrace (.*)$/.exec(line) ?? []
  const args = [...rest.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
  return { carriers, args }
}

async function openIds(shop: Started): Promise<readonly string[]> {
  const response = await fetch(`${shop.urls.platform}/dead-letters`)
  const { letters } = (await response.json()) as { readonly letters: readonly { readonly id: string }[] }
  return letters.map(({ id }) => id)
}

test('every command of docs/dead-letters.md does what the page says', { timeout: 120_000 }, async () => {
  await using place = await Workplace.make()
  const outputs: string[] = []
  let shop: Started | undefined
  let published = 0
  for (const { carriers, args } of commands.map(parse)) {
    if (args[0] === 'start') {
      shop?.child.kill('SIGTERM')
      await shop?.ended
      shop = await place.start([], { file, environment: { CARRIERS: carriers ?? '' } })
      continue
    }
    if (shop === undefined) throw new Error('the page begins with starting the application')
    const ended = await place.run([...args, '--url', shop.urls.platform])
    expect(ended, args.join(' ')).toMatchObject({ code: 0 })
    outputs.push(ended.stdout)
    const running = shop
    if (args[0] === 'publish') published += 1
    if (args[1] === 'discard') published -= 1
    if (args[1] === 'redrive' && !args.includes('--dry-run')) published = 0
    await expect.poll(() => openIds(running), { timeout: 20_000 }).toHaveLength(published)
  }
  const [list, show, groups, ofGroup] = outputs.slice(3)
  expect(list).toContain('print-label/parcels/14/0')
  expect(show).toContain('"parcel": "p-1"')
  expect(show).toContain('at file')
  expect(groups).toContain('4d0a610e1b1430c6')
  expect(ofGroup?.split('\n')).toHaveLength(5)
  expect(outputs.slice(-4)).toEqual([
    'Asked to discard 1.\n',
    'print-label/parcels/1/0\nprint-label/parcels/11/0\n2 to redrive; nothing was done.\n',
    '2 handled.\n',
    'No dead letters are open.\n',
  ])
})
