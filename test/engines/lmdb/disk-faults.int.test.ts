/**
 * Goal: a disk that fails takes nothing that was acknowledged, gives nothing that was refused, and stops nobody for longer
 * than it fails. Method: libfiu stands between LMDB and the system, and fails its calls while a process works.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { canFail, type DiskFault, FaultyDisk } from '../../../scripts/torture/faulty-disk.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { temporaryFolder } from './temporary-folder.ts'

const beginsWithinMs = 40_000
const program = fileURLToPath(new URL('faulty-process.ts', import.meta.url))
const possible = canFail()
if (!possible) console.warn("SKIPPED: faults of the disk, which take Debian's fiu-utils.")

let folder: ReturnType<typeof temporaryFolder>
let disk: FaultyDisk
let child: ChildProcessByStdio<Writable, Readable, Readable>
let lines: AsyncIterator<string>

/** Starts the process; anew where libfiu keeps it from beginning, which it hardly can: see {@link FaultyDisk.environment}. */
async function start(): Promise<void> {
  for (let tries = 0; tries < 3; tries += 1) {
    if (await begins()) return
    await kill()
  }
  throw new Error('the process did not begin three times')
}

async function begins(): Promise<boolean> {
  child = spawn(process.execPath, [program, `${folder.path}/log`], {
    env: { ...process.env, ...disk.environment },
  })
  child.stderr.resume()
  lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const patience = new AbortController()
  const tired = realRuntime().sleep(beginsWithinMs, patience.signal)
  const first = await Promise.race([lines.next().then(({ value }) => value), tired.catch(() => undefined)])
  patience.abort()
  return first === 'open'
}

async function ask(command: string): Promise<{ readonly answer?: unknown; readonly code?: string }> {
  child.stdin.write(`${command}\n`)
  const { value, done } = await lines.next()
  if (done) throw new Error(`the process has ended: ${child.signalCode}`)
  return JSON.parse(value)
}

async function kill(): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
}

const fail = (fault: DiskFault) => disk.fail(child.pid ?? -1, fault)
const mend = () => disk.mend(child.pid ?? -1)

beforeEach(async () => {
  folder = temporaryFolder()
  disk = new FaultyDisk(`${folder.path}/fiu`)
  if (possible) await start()
})

afterEach(async () => {
  if (possible) await kill()
  folder.remove()
})

describe.runIf(possible).each([
  ['sync', 'fdatasync fails with EIO', 'STORAGE_FAILED'],
  ['full', 'writes fail with ENOSPC', 'LOG_FULL'],
] as const)('while %s: %s', (fault, _what, code) => {
  it('an append is refused, cannot be read, and the next one after it is taken where it would have been', async () => {
    expect(await ask('append kept')).toEqual({ answer: 0 })
    await fail(fault)
    expect(await ask('append refused')).toEqual({ code })
    expect(await ask('append refused too')).toEqual({ code })
    expect(await ask('read')).toEqual({ answer: ['kept'] })
    await mend()
    expect(await ask('append later')).toEqual({ answer: 1 })
    expect(await ask('read')).toEqual({ answer: ['kept', 'later'] })
  })

  it.each(['killed', 'closed'])('what was refused is not there when the process was %s', async (how) => {
    await ask('append kept')
    await fail(fault)
    expect(await ask('append refused')).toEqual({ code })
    if (how === 'closed') {
      const closed = once(child, 'close')
      expect(await ask('close')).toEqual({})
      await closed
    }
    await kill()
    await start()
    expect(await ask('read')).toEqual({ answer: ['kept'] })
    expect(await ask('append later')).toEqual({ answer: 1 })
  })

  it('a process that has ended in order, and taken its pipes away, is waited for by nobody', async () => {
    await fail(fault)
    const closed = once(child, 'close')
    await ask('close')
    await closed
    await mend()
  })

  it('a claim whose commit fails is given anew by itself', async () => {
    expect(await ask('commit a')).toEqual({ answer: 1 })
    await fail(fault)
    expect(await ask('commit b')).toEqual({ code })
    await mend()
    await vi.waitFor(async () => expect((await ask('commit c')).answer).toBeGreaterThan(1), 60_000)
  })

  it('memory does not grow with what is refused', async () => {
    await ask('append kept')
    const before = Number((await ask('memory')).answer)
    await fail(fault)
    for (let count = 0; count < 1_000; count += 1) expect(await ask('append x')).toEqual({ code })
    expect(Number((await ask('memory')).answer) - before).toBeLessThan(64 * 1024 * 1024)
  })
})
