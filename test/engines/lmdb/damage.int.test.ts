import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyApart } from '../../../src/cli/doctor/verify-apart.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { newPageBytes as pageBytes } from '../../../src/engines/lmdb/database.ts'
import { currentMeta } from '../../../src/engines/lmdb/meta-pages.ts'
import { PageFile, pageHeaderBytes } from '../../../src/engines/lmdb/page-file.ts'
import { freePages, walkTree } from '../../../src/engines/lmdb/page-tree.ts'
import type { Finding } from '../../../src/log/verification.ts'
import { SeededRandom } from '../../../src/testing/random.ts'
import { type Answer, contentsOf, type Failure } from './damaged-process.ts'
import { TestLog } from './opened.ts'

const seed = 20_261
/** The bytes of a meta page that LMDB goes by. */
const metaBytes = 136
/** The bytes of a node before its key. */
const nodeHeaderBytes = 8
const patienceMs = 60_000
const program = fileURLToPath(new URL('damaged-process.ts', import.meta.url))

/** What became of one damaged copy. */
interface Outcome {
  findings: readonly Pick<Finding, 'kind' | 'where' | 'fix'>[] | undefined
  failure?: Failure
  contents?: Readonly<Record<string, string>>
  /** How the process ended, where it did. */
  ended?: string
}

let log: TestLog
let healthy: Buffer
let truth: Readonly<Record<string, string>>
let livePages: Set<number>
let copies = 0
let child: ChildProcess | undefined
const random = new SeededRandom(seed, 'damage')

/** A log that has lived: long and short records, trimmed and rewritten, with state that was changed and removed. */
beforeAll(async () => {
  log = await TestLog.open({ partitions: 3 })
  await log.engine.createTopic('invoices', {})
  const words = new SeededRandom(seed, 'contents')
  const claims = [0, 1, 2].map((partition) => log.claim('shop', partition).catch(() => undefined))
  const [claim] = (await Promise.all(claims)).filter((given) => given !== undefined)
  if (claim === undefined) throw new Error('no claim was given')
  for (let round = 0; round < 25; round += 1) {
    const entries = Array.from({ length: 24 }, (_, index) => ({
      ...log.entry(
        `${round}-${index}-${'x'.repeat(words.chance(0.06) ? 6_000 : words.below(120))}`,
        `${round}-${index}`,
      ),
      topic: index % 4 === 0 ? 'invoices' : 'orders',
      partition: words.below(3),
    }))
    await log.engine.append(entries)
    const puts = Array.from({ length: 8 }, () => ({
      key: `state/stock/count/sku-${words.below(60)}`,
      value: new TextEncoder().encode(JSON.stringify({ round, left: words.below(1_000) })),
    }))
    await claim.commit({ puts, deletes: [`state/stock/count/sku-${words.below(60)}`], appends: [] })
  }
  await log.engine.trim({ topic: 'orders', partition: 0 }, { before: 30 })
  truth = await contentsOf(await log.reopen(), 'shop')
  await log.close()
  healthy = readFileSync(join(log.folder, 'data.mdb'))
  livePages = pagesInUse(log.folder)
})

afterAll(async () => {
  child?.kill('SIGKILL')
  await log.end()
})

function pagesInUse(folder: string): Set<number> {
  const pages = new Set([0, 1])
  const file = new PageFile(join(folder, 'data.mdb'))
  const meta = currentMeta(file)
  const take = (first: number, count: number) => {
    for (let page = first; page < first + count; page += 1) pages.add(page)
    return undefined
  }
  const problems = [meta.main, meta.free].flatMap((tree) => [...walkTree(file, meta, tree, { pages: take })])
  const free = freePages(file, meta)
  file.close()
  expect(problems).toEqual([])
  expect([...(free ?? [])].filter((page) => pages.has(page))).toEqual([])
  return pages
}

/** Damages a copy, and has another process verify, open and read it. LMDB may end that process. */
async function outcomeOf(damaged: Buffer): Promise<Outcome & { readonly folder: string }> {
  copies += 1
  const folder = join(log.folder, `copy-${copies}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'data.mdb'), damaged)
  child ??= fork(program, { silent: true })
  const worker = child
  const patience = new AbortController()
  const outcome: Outcome = { findings: undefined }
  await new Promise<void>((resolve) => {
    const end = (why: string) => {
      outcome.ended = why
      child = undefined
      settle()
    }
    const onExit = (code: number | null, signal: string | null) => end(signal ?? `exit ${code}`)
    const onMessage = (answer: Answer) => {
      Object.assign(outcome, answer)
      if (!('findings' in answer)) settle()
    }
    const settle = () => {
      patience.abort()
      worker.off('exit', onExit).off('message', onMessage)
      resolve()
    }
    worker.on('exit', onExit).on('message', onMessage).send({ folder })
    const hang = () => worker.kill('SIGKILL') && end('it hung')
    realRuntime()
      .sleep(patienceMs, patience.signal)
      .then(hang, () => undefined)
  })
  return { ...outcome, folder }
}

function flipped(position: number, bit: number): Buffer {
  const damaged = Buffer.from(healthy)
  damaged.writeUInt8(damaged.readUInt8(position) ^ (1 << bit), position)
  return damaged
}

/** What a reader sees otherwise than it was, or not at all. */
function differences(contents: Readonly<Record<string, string>>): string[] {
  const places = new Set([...Object.keys(truth), ...Object.keys(contents)])
  return [...places].filter((place) => truth[place] !== contents[place])
}

/** What holds whatever was damaged; gives what a reader sees otherwise. */
async function checkOutcome(outcome: Outcome & { readonly folder: string }, name: string): Promise<string[]> {
  expect(outcome.ended, name).not.toBe('it hung')
  if (outcome.findings === undefined) {
    const found: Finding[] = []
    for await (const finding of verifyApart(outcome.folder, () => undefined)) found.push(finding)
    outcome.findings = found
  }
  const { findings, failure, contents, ended } = outcome
  for (const finding of findings)
    expect(finding, name).toMatchObject({ where: expect.any(String), fix: expect.any(String) })
  const isFound = findings.length > 0
  if (ended !== undefined) {
    const kinds = findings.map(({ kind }) => kind)
    expect(kinds, `${name}: ended by ${ended}`).toContain('pages-damaged')
  }
  if (failure !== undefined) {
    expect(failure, name).toMatchObject({
      code: expect.stringMatching(/^(LOG_DAMAGED|STORAGE_FAILED)$/),
      where: expect.any(String),
      fix: expect.any(String),
    })
    expect(isFound, `${name}: refused with ${failure.code}, and nothing was found`).toBe(true)
  }
  const seen = contents === undefined ? [] : differences(contents)
  if (seen.length > 0) expect(isFound, `${name}: ${seen.join(', ')} differ, and nothing was found`).toBe(true)
  const isNamed = (place: string) =>
    findings.some(
      ({ kind, where }) => kind === 'pages-damaged' || kind === 'record-missing' || where === place,
    )
  for (const place of seen) {
    if (contents?.[place] === 'RECORD_CORRUPT' && place.includes('@'))
      expect(isNamed(place), `${name}: ${place}`).toBe(true)
  }
  rmSync(outcome.folder, { recursive: true, force: true })
  return seen
}

describe('one bit of the data file that has changed', () => {
  it('is found where it harms, wherever it is, and blamed on nothing where it does not', {
    timeout: 300_000,
  }, async () => {
    for (let turn = 0; turn < 160; turn += 1) {
      const position = random.below(healthy.length)
      const name = `byte ${position}`
      const outcome = await outcomeOf(flipped(position, random.below(8)))
      await checkOutcome(outcome, name)
      if (!livePages.has(Math.floor(position / pageBytes)))
        expect(outcome, name).toMatchObject({ findings: [], contents: truth })
    }
  })

  it('is found in the first bytes of every page, by which LMDB finds its way', {
    timeout: 300_000,
  }, async () => {
    const pages = [...livePages].filter((page) => page > 1)
    for (let turn = 0; turn < 80; turn += 1) {
      const position = random.pick(pages) * pageBytes + random.below(pageHeaderBytes + 16)
      await checkOutcome(await outcomeOf(flipped(position, random.below(8))), `byte ${position}`)
    }
  })

  it('is found in a page that only leads to others: rows behind it are there and not found', async () => {
    const file = new PageFile(join(log.folder, 'data.mdb'))
    const root = (currentMeta(file).main.root ?? 0) * pageBytes
    file.close()
    const node = root + pageHeaderBytes + healthy.readUInt16LE(root + pageHeaderBytes + 2)
    const outcome = await outcomeOf(flipped(node + nodeHeaderBytes + 1, 7))
    await checkOutcome(outcome, 'a key of the root')
    expect(outcome.findings?.map(({ kind }) => kind)).toContain('pages-damaged')
  })

  it('never makes an older state look like the last one', { timeout: 300_000 }, async () => {
    for (const page of [0, 1]) {
      for (let byte = 0; byte < pageHeaderBytes + metaBytes; byte += 1) {
        const position = page * pageBytes + byte
        const name = `byte ${byte} of page ${page}`
        const seen = await checkOutcome(await outcomeOf(flipped(position, random.below(8))), name)
        expect(seen, name).toEqual([])
      }
      // The number of the transaction decides which of the two pages counts.
      for (let bit = 0; bit < 16; bit += 1) {
        const position = page * pageBytes + pageHeaderBytes + 128 + (bit >> 3)
        const outcome = await outcomeOf(flipped(position, bit & 7))
        expect(outcome.failure, `bit ${bit} of page ${page}`).toMatchObject({ code: 'LOG_DAMAGED' })
      }
    }
  })
})

describe('a data file that was cut off', () => {
  it('is refused, and found, wherever it was cut', async () => {
    const sizes = [
      100,
      pageBytes,
      pageBytes + 10,
      2 * pageBytes,
      healthy.length - 1,
      healthy.length - pageBytes,
    ]
    for (let turn = 0; turn < 20; turn += 1) sizes.push(random.between(100, healthy.length - 1))
    for (const size of sizes) {
      const name = `${size} of ${healthy.length} bytes`
      const outcome = await outcomeOf(healthy.subarray(0, size))
      expect(await checkOutcome(outcome, name), name).toEqual([])
      expect(outcome.failure ?? outcome.contents, name).toBeDefined()
    }
  })

  it('is fine when only pages are missing that nothing uses', async () => {
    const end = (Math.max(...livePages) + 1) * pageBytes
    const outcome = await outcomeOf(healthy.subarray(0, end))
    expect(outcome).toMatchObject({ findings: [], contents: truth })
    expect(readFileSync(join(outcome.folder, 'data.mdb')).length).toBeGreaterThanOrEqual(end)
  })
})
