import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { generateReference, referenceFolder } from '../../scripts/reference/generate.ts'
import type { Page } from '../../scripts/reference/pages.ts'

let pages: readonly Page[]

beforeAll(() => {
  pages = generateReference()
})

test('docs/reference is what the docstrings say: `npm run docs:reference` would change nothing', () => {
  expect(readdirSync(referenceFolder).sort()).toEqual(pages.map(({ file }) => file).sort())
  for (const { file, text } of pages)
    expect(readFileSync(join(referenceFolder, file), 'utf8'), file).toBe(text)
})

test('every way into the package says what it is for', () => {
  for (const { file, text } of pages) expect(text, file).toMatch(/^# .+\n\n\w/m)
})

test('every link in a docstring leads to something', () => {
  for (const { file, text } of pages) expect(text, file).not.toContain('{@link')
})
