import assert from 'node:assert/strict'
import { test } from 'node:test'
import { start } from 'millrace'
import { simulate } from 'millrace/testing'
import poll, { countVotes, VoteCast } from './app.ts'

test('votes are counted for each choice', async () => {
  const running = await start(poll, { log: 'memory:' })
  for (const choice of ['tea', 'coffee', 'tea']) await running.publish(VoteCast, { choice })
  await running.settled()
  assert.deepEqual(await running.read(countVotes, 'tea'), { votes: 2 })
  await running.stop()
})

test('every vote is counted once, whatever crashes', async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    await simulate(poll, {
      seed,
      steps: 500,
      publish: (random) => ({ type: VoteCast, data: { choice: random.pick(['tea', 'coffee', 'water']) } }),
    })
  }
})
