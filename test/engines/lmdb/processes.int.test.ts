import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openDatabase } from '../../../src/engines/lmdb/database.ts'
import { openingKey } from '../../../src/engines/lmdb/keys.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'
import { sealJson } from '../../../src/engines/lmdb/sealed.ts'
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
    expect([...new Set(refused)]).toEqual(['STORAGE_FAILED'])
    expect(closed).toBe(`closed ${acknowledged.length}`)
    await ended
    const { numbers, offsets } = await numbersInLog()
    expect(numbers.sort((a, b) => a - b)).toEqual(acknowledged.sort((a, b) => a - b))
    expect(offsets).toEqual(Array.from(numbers, (_, index) => index))
  })
})
