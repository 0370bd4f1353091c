import { afterEach, beforeEach, expect, test } from 'vitest'
import { SeededRandom } from '../../../src/testing/random.ts'
import { Workplace } from '../process.ts'
import { appSource, DevProcess } from './dev-process.ts'
import { Publishers } from './publishers.ts'

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

interface Urls {
  readonly app: string
  readonly platform: string
}

const json = async (url: string) => (await fetch(url)).json()

/** Every acknowledged event was handled once and in its publisher's order, and no other was. */
async function expectHandledOnce(urls: Urls, publishers: Publishers): Promise<void> {
  for (const [name, n] of publishers.acknowledged) {
    await expect
      .poll(() => json(`${urls.app}/counts/${name}`), { timeout: 60_000 })
      .toEqual({ handled: n, last: n, wrong: 0 })
  }
}

test('a hundred saves under load lose nothing, double nothing and refuse nothing', async () => {
  const random = new SeededRandom(20_261_121, 'saves')
  const dev = await DevProcess.start(place, appSource({ version: 0 }))
  const { urls } = (await dev.next('started')) as unknown as { readonly urls: Urls }
  const publishers = new Publishers(urls, { count: 6, again: false })
  for (let version = 1; version <= 100; version += 1) {
    const before = publishers.total
    await dev.save(appSource({ version }))
    // Half of the saves come while the one before is still being loaded or handed over to.
    if (version === 100 || random.chance(0.5)) {
      await expect.poll(() => json(`${urls.app}/version`), { timeout: 60_000, interval: 20 }).toBe(version)
    } else {
      const more = before + random.below(40)
      await expect.poll(() => publishers.total, { timeout: 60_000, interval: 5 }).toBeGreaterThanOrEqual(more)
    }
  }
  await publishers.stop()
  expect(publishers.refusals).toEqual([])
  expect(publishers.total).toBeGreaterThan(500)
  await expectHandledOnce(urls, publishers)
  const reloads = dev.lines.filter((line) => 'reloaded' in line)
  expect(reloads.length).toBeGreaterThan(25)
  expect(dev.lines.filter((line) => !('reloaded' in line || 'started' in line))).toEqual([])
  dev.child.kill('SIGINT')
  expect(await dev.ended).toBe(0)
}, 400_000)
