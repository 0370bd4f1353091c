import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >
}

test('the lock file names the packages of every platform; if not: node scripts/complete-lock.ts', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
  const paths = Object.keys(packages)
  const wanted = Object.values(packages).flatMap((each) => Object.keys(each.optionalDependencies ?? {}))
  const missing = wanted.filter((name) => !paths.some((path) => path.endsWith(`node_modules/${name}`)))
  expect(missing).toEqual([])
})
