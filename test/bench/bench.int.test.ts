import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const run = (...args: readonly string[]) =>
  promisify(execFile)(process.execPath, ['-C', 'millrace-source', 'bench/main.ts', ...args], { cwd: root })
const small = ['--quick', '--seconds', '0.1', '--prefill', '100']

describe('npm run bench', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('lists every row that there is a file for', async () => {
    const { stdout } = await run('--list')
    const files = await readdir(join(root, 'bench/rows'))
    expect(stdout.trim().split('\n').sort()).toEqual(files.map((file) => file.replace(/\.ts$/, '')).sort())
  })

  it('measures one row beside its limit, and writes it as JSON too', async () => {
    const file = join(folder, 'figures.json')
    const { stdout, stderr } = await run(...small, '--only', 'publish-one', '--json', file)
    expect(stdout).toMatch(/^\| publish, one in flight, p50 .*\| bare lmdb commit/m)
    expect(stderr).toContain('1/1 publish-one: round 1 of 1')
    const { machine, versions, date, rows } = JSON.parse(await readFile(file, 'utf8'))
    expect(machine.cores).toBeGreaterThan(0)
    expect(versions.lmdb).toMatch(/^\d+\./)
    expect(Number.isNaN(Date.parse(date))).toBe(false)
    expect(rows.map(({ name }: { name: string }) => name)).toEqual(['publish-one-p50', 'publish-one-p99'])
    for (const { ours, peer, ratio, unit } of rows) {
      expect(ours).toBeGreaterThan(0)
      expect(ratio).toBeCloseTo(ours / peer)
      expect(unit).toBe('ms')
    }
  })

  it('says what is wrong with its arguments and ends with 2', async () => {
    await expect(run('--only', 'nothing')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("There is no row 'nothing'; --list names them."),
    })
    await expect(run('--rounds', 'many')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--rounds must be a number above 0, not 'many'"),
    })
  })
})
