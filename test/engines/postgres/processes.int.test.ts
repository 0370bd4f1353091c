import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import { Copying } from '../copying.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const partitions = 4

describe.runIf(hasPostgres)('processes that share a log', () => {
  let server: PostgresServer
  let copying: Copying

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  beforeEach(async () => {
    const url = server.url()
    copying = await Copying.begin(
      await openPostgres(url, { runtime: realRuntime(), partitions, leaseMs: 2000 }),
      url,
    )
  })

  afterEach(() => copying.end())

  it('share the partitions, and what one that is killed had is taken over in seconds', async () => {
    const first = copying.start()
    await first.until(() => first.owned === partitions)
    const second = copying.start()
    await second.until(() => second.owned === partitions / 2)
    await copying.publish(400)
    const publishing = copying.publish(400)
    await first.kill()
    await second.until(() => second.owned === partitions)
    await publishing
    await copying.expectCopiedOnce()
  }, 60_000)

  it('cannot write after a pause in which others took over, and take part again', async () => {
    const [paused, other] = [copying.start(), copying.start()]
    await paused.until(() => paused.owned === partitions / 2)
    await other.until(() => other.owned === partitions / 2)
    const publishing = copying.publish(600)
    paused.child.kill('SIGSTOP')
    await other.until(() => other.owned === partitions)
    await publishing
    await copying.publish(200)
    await copying.expectCopiedOnce()
    const before = paused.said.length
    paused.child.kill('SIGCONT')
    await paused.until((said) => said.slice(before).some((line) => line.startsWith('lost')))
    await paused.until(() => paused.owned === partitions / 2)
    await copying.publish(200)
    await copying.expectCopiedOnce()
    expect([...paused.said, ...other.said].filter((line) => line.startsWith('refused'))).toEqual([])
  }, 60_000)

  it('go on by themselves when the server was stopped or has crashed in the middle of their work', async () => {
    const both = [copying.start(), copying.start()]
    for (const copier of both) await copier.until(() => copier.owned === partitions / 2)
    let ended = false
    const publishing = Array.from({ length: 16 }, async () => {
      while (!ended) await copying.publish(1)
    })
    for (const end of [() => server.stop(), () => server.crash()]) {
      const before = copying.published
      await copying.untilPublished(before + 100)
      await end()
      const during = copying.published
      await server.run()
      await copying.untilPublished(during + 100)
    }
    ended = true
    await Promise.all(publishing)
    await copying.expectCopiedOnce()
  }, 90_000)
})
