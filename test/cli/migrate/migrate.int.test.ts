/**
 * Goal: an application that is moved from one log to another goes on there as if nothing had happened. Method: real processes
 * and servers; the application is killed in the middle of its work, and so is the migration, again and again.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { SeededRandom } from '../../../src/testing/random.ts'
import { type LogServers, sharedEngines } from '../../engines/shared-logs.ts'
import { Workplace } from '../process.ts'
import { Traveller } from './traveller.ts'

const timeoutMs = 400_000
const runtime = realRuntime()
const random = new SeededRandom(42, 'kills')

describe.each(sharedEngines.filter(({ isHere }) => isHere))(
  'an application that is moved to $name',
  (engine) => {
    let servers: LogServers
    let place: Workplace

    beforeAll(async () => {
      servers = await engine.start()
      place = await Workplace.make()
    }, timeoutMs)

    afterAll(async () => {
      await place?.[Symbol.asyncDispose]()
      await servers?.remove()
    })

    /** Kills the migration at several moments, and lets it come to its end at last. */
    async function migrate(from: string, to: string): Promise<void> {
      for (let kills = 0; kills < 2; kills += 1) {
        const child = place.spawn(['migrate', '--from', from, '--to', to, '--json'], {})
        const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
        const killed = runtime.sleep(300 + random.below(1200)).then(() => child.kill('SIGKILL'))
        await ended
        await killed
      }
      const { code, stdout, stderr } = await place.run(['migrate', '--from', from, '--to', to, '--json'])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const moved = JSON.parse(stdout) as { readonly finishedBefore?: true }
      // On a fast machine it may have come to its end before it was to be killed, and says so.
      if (moved.finishedBefore !== true) expect(moved).toMatchObject({ ids: { lost: 0 } })
    }

    test('goes on there: nothing is lost, nothing done twice, and each key keeps its order', {
      timeout: timeoutMs,
    }, async () => {
      const traveller = new Traveller(place)
      const logs = ['lmdb:here', servers.newLog(), 'lmdb:there']
      const [first = ''] = logs
      const started = await traveller.start(first)
      await traveller.putRule(started)
      await traveller.publishUntilKilled(started)
      for (const [index, log] of logs.slice(1).entries()) {
        await migrate(logs[index] ?? first, log)
        const again = await traveller.start(log)
        await traveller.checkResults(again)
        await traveller.resend(again)
        await traveller.publishUntilKilled(again)
      }
      const last = logs.at(-1) ?? first
      const again = await traveller.start(last)
      await traveller.resend(again)
      await traveller.mend(again)
      await traveller.checkResults(again)
      again.child.kill('SIGTERM')
      await again.ended
      await traveller.judge(last)
    })
  },
)
