import { expect, it } from 'vitest'
import { answerRedriven } from '../../src/bus/dead-letter-answers.ts'
import type { QueriedPartition } from '../../src/bus/queried-partition.ts'

const letter = { handler: 'print', topic: 'parcels', key: 'p-1', offset: 0, eventId: 'first' }
const open = (id: string) => JSON.stringify({ id })

/** What the owner answers while its state has these texts for the dead letter: durable, and with what is staged. */
async function answered(durable: string | undefined, staged: string | undefined): Promise<unknown> {
  const state = { getCommitted: async () => [durable], get: async () => staged }
  const at = { state, subscriptions: [] } as unknown as QueriedPartition
  return await answerRedriven({ letters: [letter] }, at)
}

it('tells what a redrive came to once that is durable, and until then that it is still tried', async () => {
  expect(await answered(open('first'), undefined)).toEqual(['trying'])
  expect(await answered(undefined, undefined)).toEqual(['closed'])
  expect(await answered(open('first'), open('second'))).toEqual(['trying'])
  expect(await answered(open('second'), open('second'))).toEqual(['failed'])
})

it('tells of a dead letter that nothing was done with', async () => {
  expect(await answered(open('first'), open('first'))).toEqual(['open'])
})
