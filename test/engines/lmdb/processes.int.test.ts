import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import type { Runtime } from '../../../src/core/runtime.ts'
import { openDatabase } from '../../../src/engines/lmdb/database.ts'
import { openingKey } from '../../../src/engines/lmdb/keys.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { sealJson } from '../../../src/engines/lmdb/sealed.ts'
import { checkSettledMetaPages } from '../../../src/engines/lmdb/settled-meta-pages.ts'
import { at, noLimits } from './opened.ts'
import { temporaryFolder } from './temporary-folder.ts'

const program = fileURLToPath(new URL('publishing-process.ts', import.meta.url))
let folder: ReturnType<typeof temporaryFolder>
let started: ChildProcessWithoutNullStreams[]

beforeEach(() => {
  folder = temporaryFolder()
  started = []
})

afterEach(async () => {
  for (const child of started) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  }
  folder.remove()
})

/** Starts a process that publishes; `lines` gives what it says, line by line. */
function start(command: string, args: readonly string[]) {
  const child = spawn(command, args)
  started.push(child)
  child.stderr.resume()
  const ended = once(child, 'close')
  return { child, ended, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
}

const startPublishing = (...args: readonly string[]) =>
  start(process.execPath, [program, folder.path, ...args])

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next()
  return done ? 'ended' : value
}

async function numbersInLog(): Promise<{ numbers: number[]; offsets: number[] }> {
  const engine = await openLmdb(folder.path, { runtime: realRuntime() })
  const { records } = await engine.read(at, 0, noLimits)
  await engine.close()
  const numbers = records.map(
    ({ value }) => (JSON.parse(Buffer.from(value).toString()) as { number: number }).number,
  )
  return { numbers, offsets: records.map(({ offset }) => offset) }
}

describe('a process that is killed while it publishes', () => {
  for (const acknowledgements of [1, 200, 3000]) {
    it(`leaves every event that was acknowledged, after ${acknowledgements}`, async () => {
      const { child, ended, lines } = startPublishing()
      expect(await nextLine(lines)).toBe('open')
      const acknowledged: number[] = []
      for (let line = await nextLine(lines); line !== 'ended'; line = await nextLine(lines)) {
        acknowledged.push(Number(line.replace('acknowledged ', '')))
        if (acknowledged.length === acknowledgements) child.kill('SIGKILL')
      }
      await ended
      const { numbers, offsets } = await numbersInLog()
      expect(new Set(numbers).size).toBe(numbers.length)
      expect(acknowledged.filter((number) => !numbers.includes(number))).toEqual([])
      expect(offsets).toEqual(Array.from(numbers, (_, index) => index))
    })
  }
})

describe('a folder that a process has open', () => {
  it('is LOG_IN_USE with its pid for another process, and free once it is killed', async () => {
    const { child, ended, lines } = startPublishing()
    expect(await nextLine(lines)).toBe('open')
    await expect(openLmdb(folder.path, { runtime: realRuntime() })).rejects.toMatchObject({
      code: 'LOG_IN_USE',
      facts: { pid: child.pid },
      message: expect.stringContaining(String(child.pid)),
    })
    child.kill('SIGKILL')
    await ended
    const engine = await openLmdb(folder.path, { runtime: realRuntime() })
    const other = startPublishing()
    expect(await nextLine(other.lines)).toMatch(`failed LOG_IN_USE ${process.pid} `)
    await engine.close()
  })

  it('is LOG_IN_USE only when its owner has not ended after two seconds', async () => {
    const { lines } = startPublishing()
    expect(await nextLine(lines)).toBe('open')
    let sleptMs = 0
    const sleep = async (durationMs: number) => {
      sleptMs += durationMs
    }
    const runtime: Runtime = { ...realRuntime(), sleep }
    await expect(openLmdb(folder.path, { runtime })).rejects.toMatchObject({ code: 'LOG_IN_USE' })
    expect(sleptMs).toBe(2000)
  })

  it('is opened as soon as an owner that is ending has ended', async () => {
    const { child, ended, lines } = startPublishing()
    expect(await nextLine(lines)).toBe('open')
    let sleeps = 0
    const sleep = async () => {
      sleeps += 1
      if (sleeps < 3) return
      child.kill('SIGKILL')
      await ended
    }
    const engine = await openLmdb(folder.path, { runtime: { ...realRuntime(), sleep } })
    await engine.close()
    expect(sleeps).toBe(3)
  })

  it('can be opened right after its owner was killed', async () => {
    const { child, lines } = startPublishing()
    expect(await nextLine(lines)).toBe('open')
    child.kill('SIGKILL')
    const engine = await openLmdb(folder.path, { runtime: realRuntime() })
    await engine.close()
  })

  it.runIf(process.platform === 'linux')(
    'can be opened while an owner that was killed still waits for its parent to notice',
    async () => {
      const neverNotices = `"$0" "$@" & echo $!; exec tail -f /dev/null`
      const { lines } = start('/bin/sh', ['-c', neverNotices, process.execPath, program, folder.path])
      const pid = Number(await nextLine(lines))
      expect(await nextLine(lines)).toBe('open')
      process.kill(pid, 'SIGKILL')
      const engine = await openLmdb(folder.path, { runtime: realRuntime() })
      await engine.close()
      // The process must still be there, or the test has shown nothing.
      expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z /)
    },
  )

  it('is refused as in use, and never as damaged, however its owner writes meanwhile', async () => {
    const { lines } = startPublishing()
    expect(await nextLine(lines)).toBe('open')
    for (let tries = 0; tries < 30; tries += 1) {
      await checkSettledMetaPages(folder.path, realRuntime())
    }
    await expect(openLmdb(folder.path, { runtime: realRuntime() })).rejects.toMatchObject({
      code: 'LOG_IN_USE',
    })
  })

  it('is taken by one of several that come at once', async () => {
    const processes = Array.from({ length: 4 }, () => startPublishing())
    const first = await Promise.all(processes.map(({ lines }) => nextLine(lines)))
    expect(first.filter((line) => line === 'open')).toHaveLength(1)
    expect(first.filter((line) => line.startsWith('failed LOG_IN_USE'))).toHaveLength(3)
  })

  it('is free when the owner has ended and another process has its pid', async () => {
    await openLmdb(folder.path, { runtime: realRuntime() }).then((engine) => engine.close())
    const database = openDatabase(folder.path, false)
    await database.put(openingKey(1), sealJson({ pid: process.ppid, thread: 0, startedAs: 'before/1' }))
    await database.close()
    const engine = await openLmdb(folder.path, { runtime: realRuntime() })
    await engine.close()
  })
})

describe('a disk that is full', () => {
  it('refuses appends, and nothing that was refused is there', async () => {
    // The limit of a file's size is the nearest thing to a full disk that needs no rights: writes beyond it fail.
    const limited = `trap '' XFSZ; ulimit -f 2048; exec "$0" "$@"`
    const { ended, lines } = start('/bin/sh', [
      '-c',
      limited,
      process.execPath,
      program,
      folder.path,
      '2000',
      '1000',
    ])
    expect(await nextLine(lines)).toBe('open')
    const acknowledged: number[] = []
    const refused: string[] = []
    let closed = ''
    for (let line = await nextLine(lines); line !== 'ended'; line = await nextLine(lines)) {
      const [what, number, code] = line.split(' ')
      if (what === 'acknowledged') acknowledged.push(Number(number))
      else if (what === 'refused') refused.push(String(code))
      else closed = line
    }
    expect(acknowledged.length).toBeGreaterThan(50)
    expect(refused.length).toBeGreaterThan(50)
    // It depends on how the pages of a block lie whether the one that fails is cut, which LMDB reports as an error of the disk.
    expect(['LOG_FULL', 'STORAGE_FAILED']).toEqual(expect.arrayContaining([...new Set(refused)]))
    expect(closed).toBe(`closed ${acknowledged.length}`)
    await ended
    const { numbers, offsets } = await numbersInLog()
    expect(numbers.sort((a, b) => a - b)).toEqual(acknowledged.sort((a, b) => a - b))
    expect(offsets).toEqual(Array.from(numbers, (_, index) => index))
  })
})
