/**
 * Goal: however a run of `npm run torture` ends, in the midst of its rounds, nothing is left of it: no process, no server, no mounted disk,
 * no folder; and it says how to go on. Method: real runs in a folder of their own, ended by what ends them, and what the system says is there.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { chaosEngines } from '../../scripts/torture/chaos/clusters.ts'

const waitFor = { timeout: 170_000, interval: 20 }
const folders: string[] = []

/** Runs in a folder of its own; resolves in the midst of a round. */
async function begin(...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-ending-'))
  folders.push(folder)
  // The server is run as another user.
  chmodSync(folder, 0o711)
  const child = spawn(
    process.execPath,
    ['-C', 'millrace-source', 'scripts/torture.ts', '--seeds=0', '--processes=1', ...args],
    { env: { ...process.env, TMPDIR: folder, NODE_COMPILE_CACHE: '' }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output.on('data', (text: Buffer) => (said += String(text)))
  const ended = once(child, 'close').then(([code]) => ({ code, said }))
  // Applications write down what they do as soon as they are at work.
  const isAtWork = vi.waitFor(() => {
    expect(filesIn(folder).some((path) => /journal-\d+$/.test(path))).toBe(true)
  }, waitFor)
  await Promise.race([isAtWork, ended.then(() => Promise.reject(new Error(said)))])
  return { folder, child, ended }
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
}

/** Who has the folder in what it was started with, or is in it. */
function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      return `${environment} ${command} ${readlinkSync(`/proc/${pid}/cwd`)}`.includes(folder)
    } catch {
      return false
    }
  })
}

function disksOf(folder: string): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder))
}

function leftOf(folder: string) {
  return {
    files: filesIn(folder).filter((path) => !path.startsWith('node-compile-cache')),
    processes: processesOf(folder),
    disks: disksOf(folder),
  }
}

const nothing = { files: [], processes: [], disks: [] }

function workerOf(child: ChildProcess): number {
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')[0])
}

afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

describe.runIf(process.platform === 'linux').concurrent('a run that is ended in the midst of a round', () => {
  it.runIf(chaosEngines.postgres?.isHere)(
    'by SIGTERM leaves nothing, on servers and disks of its own',
    async () => {
      const { folder, child, ended } = await begin(
        '--engine=postgres',
        '--rounds=0',
        '--chaos=2',
        '--first=301',
      )
      expect(processesOf(folder).length).toBeGreaterThan(3)
      child.kill('SIGTERM')
      const { code, said } = await ended
      expect(leftOf(folder)).toEqual(nothing)
      expect(code).toBe(143)
      expect(said).toMatch(
        /It stopped in round 301 on postgres, and goes on with: npm run torture -- .*--first=301 --after 0\n/,
      )
    },
  )

  it('leaves nothing, by SIGINT, when a worker fails, or when nobody is left to clean up', async () => {
    const args = ['--rounds=1', '--chaos=0', '--first=302']
    const [interrupted, failing, killed] = await Promise.all([begin(...args), begin(...args), begin(...args)])
    interrupted.child.kill('SIGINT')
    process.kill(workerOf(failing.child), 'SIGKILL')
    killed.child.kill('SIGKILL')
    expect((await interrupted.ended).code).toBe(130)
    expect(leftOf(interrupted.folder)).toEqual(nothing)
    const { code, said } = await failing.ended
    expect(leftOf(failing.folder)).toEqual(nothing)
    expect(code).toBe(1)
    expect(said).toMatch(/It FAILED:\nError: a worker ended with SIGKILL at .*"seed":302[\s\S]*goes on with/)
    await vi.waitFor(() => expect(leftOf(killed.folder)).toEqual(nothing), waitFor)
  })

  it('ends at once at a second signal', async () => {
    const program = fileURLToPath(new URL('interrupted-process.ts', import.meta.url))
    const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (text: Buffer) => (said += String(text)))
    const closed = once(child, 'close')
    await vi.waitFor(() => expect(said).toBe('ready\n'), waitFor)
    child.kill('SIGTERM')
    await vi.waitFor(() => expect(said).toBe('ready\nSIGTERM\n'), waitFor)
    child.kill('SIGINT')
    expect(await closed).toEqual([130, null])
    expect(said).toBe('ready\nSIGTERM\nat once\n')
  })
})
