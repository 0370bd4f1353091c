// How long a save takes until the new version answers, and for how long requests wait, under `millrace dev`:
// node -C millrace-source bench/reload.ts [saves]
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const saves = Number(process.argv[2] ?? 20)
const publishers = 4
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(root, 'bench', 'reload-'))

const source = (version: number) => `import { app, event, http, on } from 'millrace'
import { z } from 'zod'
const schema = z.object({ sku: z.string() })
const Placed = event('shop.placed', { schema, key: (order) => order.sku })
const count = on(Placed, { name: 'count', from: 'start', state: { n: z.int().default(0) } }, async (_, ctx) => {
  ctx.state.n.set((await ctx.state.n.get()) + 1)
})
export default app({ name: 'shop', handlers: [count], routes: [
  http.get('/version', {}, () => Response.json(${version})),
  http.post('/orders', { body: schema }, async ({ body }, ctx) => Response.json(await ctx.publish(Placed, body))),
] })
`

interface Line {
  readonly started?: string
  readonly reloaded?: string
  readonly urls: { readonly app: string }
  readonly tookMs: number
  readonly waitedMs: number
}

const middle = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
const shown = (values: readonly number[]) =>
  `${middle(values)} ms in the middle, ${Math.max(...values)} ms at most`

const save = (version: number) => writeFileSync(join(folder, 'app.ts'), source(version))
save(0)
const args = ['-C', 'millrace-source', join(root, 'src/cli/main.ts'), 'dev', 'app.ts', '--json']
const dev = spawn(process.execPath, [...args, '--port', '0', '--platform-port', '0'], {
  cwd: folder,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const lines = createInterface({ input: dev.stdout })[Symbol.asyncIterator]()
async function next(): Promise<Line> {
  const text = (await lines.next()).value as string
  const line = JSON.parse(text) as Line
  if (line.started === undefined && line.reloaded === undefined) throw new Error(text)
  return line
}

let slowestMs = 0
let published = 0
async function publish(url: string, isOver: () => boolean): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  while (!isOver()) {
    const startedMs = performance.now()
    const answer = await fetch(`${url}/orders`, { method: 'POST', headers, body: '{"sku":"lamp"}' })
    if (!answer.ok) throw new Error(await answer.text())
    await answer.body?.cancel()
    slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    published += 1
  }
}

try {
  const { urls } = await next()
  let over = false
  const publishing = Array.from({ length: publishers }, () => publish(urls.app, () => over))
  const took: number[] = []
  const waited: number[] = []
  for (let version = 1; version <= saves; version += 1) {
    save(version)
    const { tookMs, waitedMs } = await next()
    took.push(tookMs)
    waited.push(waitedMs)
  }
  over = true
  await Promise.all(publishing)
  console.log(`${saves} saves, ${publishers} publishers, ${published} events`)
  console.log(`from the save until the new version took requests: ${shown(took)}`)
  console.log(`requests waited: ${shown(waited)}; the slowest request took ${Math.round(slowestMs)} ms`)
} finally {
  dev.kill('SIGINT')
  await new Promise((resolve) => dev.once('close', resolve))
  rmSync(folder, { recursive: true, force: true })
}
