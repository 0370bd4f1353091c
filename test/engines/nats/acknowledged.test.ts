import { describe, expect, it } from 'vitest'
import { acknowledgedBy } from '../../../src/engines/nats/connection.ts'
import { isAway, isUnheard } from '../../../src/engines/nats/failures.ts'

const answer = (value: object) => Buffer.from(JSON.stringify({ stream: 'log_topic_in', ...value }))

const sameUnderWay = { seq: 0, error: { code: 409, err_code: 10158, description: 'is in process' } }

function failureOf(value: object): unknown {
  try {
    return acknowledgedBy(answer(value))
  } catch (error) {
    return error
  }
}

describe('what a stream says to a message', () => {
  it('is where it is stored, now or since before', () => {
    expect(acknowledgedBy(answer({ seq: 7 }))).toEqual({ sequence: 7, duplicate: false })
    expect(acknowledgedBy(answer({ seq: 7, duplicate: true }))).toEqual({ sequence: 7, duplicate: true })
  })

  it.each([
    ['2.10 knows its id, and is about to store it', { seq: 0, duplicate: true }],
    ['2.11 does', sameUnderWay],
    [
      '2.11 is about to store another of the subject',
      { seq: 0, error: { code: 400, err_code: 10164, description: 'wrong last sequence' } },
    ],
  ])('is nothing yet where a server of %s: it may be stored, or not', (_, value) => {
    const error = failureOf(value)
    expect(isAway(error)).toBe(true)
    expect(isUnheard(error)).toBe(false)
  })

  it.each([{ seq: 0, duplicate: true }, sameUnderWay])(
    'names the stream that has the same under way: %j',
    (value) => {
      expect(failureOf(value)).toMatchObject({ stream: 'log_topic_in' })
    },
  )
})
