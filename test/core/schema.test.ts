import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { isMillraceError, type MillraceError } from '../../src/core/errors.ts'
import { validate } from '../../src/core/schema.ts'

const subject = { code: 'DATA_INVALID', what: "Data of 'order'" } as const
const order = z.object({
  lines: z.array(z.object({ quantity: z.int().positive() })),
  note: z.string().default(''),
})

async function refusalOf(run: () => unknown): Promise<MillraceError> {
  try {
    await run()
  } catch (error) {
    if (isMillraceError(error)) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('gives the output of the schema, not the input', () => {
  expect(validate(order, { lines: [] }, subject)).toEqual({ lines: [], note: '' })
})

test('is asynchronous only when the schema is', async () => {
  const eventually = z.string().refine(async (text) => text !== 'no')
  const result = validate(eventually, 'yes', subject)
  expect(result).toBeInstanceOf(Promise)
  await expect(result).resolves.toBe('yes')
  expect(await refusalOf(() => validate(eventually, 'no', subject))).toMatchObject({ code: 'DATA_INVALID' })
})

test('takes a schema of any vendor by its shape', () => {
  const even = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) =>
        Number(value) % 2 === 0 ? { value } : { issues: [{ message: 'odd', path: [{ key: 'n' }, 0] }] },
    },
  }
  expect(validate(even, 2, subject)).toBe(2)
  expect(() => validate(even, 3, subject)).toThrow(expect.objectContaining({ where: 'data.n.0' }))
})

describe('a refusal', () => {
  const wrong = { lines: [{ quantity: 1 }, { quantity: 0 }], note: 7 }

  test('names the first place, and lists all of them', async () => {
    const error = await refusalOf(() => validate(order, wrong, subject))
    expect(error.code).toBe('DATA_INVALID')
    expect(error.message).toMatch(/^Data of 'order' does not match its schema: /)
    expect(error.where).toBe('data.lines.1.quantity')
    expect(error.fix).toBeTruthy()
    expect((error.facts.issues as { path: string }[]).map(({ path }) => path)).toEqual([
      'data.lines.1.quantity',
      'data.note',
    ])
  })

  test('of the whole value names the root', async () => {
    expect((await refusalOf(() => validate(order, null, subject))).where).toBe('data')
    const body = { ...subject, root: 'body', fix: 'Send another body.' }
    expect(await refusalOf(() => validate(order, null, body))).toMatchObject({
      where: 'body',
      fix: 'Send another body.',
    })
  })
})
