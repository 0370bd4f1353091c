import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md')]

test('every page under docs is in the index', () => {
  const index = readFileSync('docs/README.md', 'utf8')
  const linked = globSync('docs/*.md').filter((page) => page !== 'docs/README.md')
  expect(linked.filter((page) => !index.includes(`](${page.slice('docs/'.length)})`))).toEqual([])
})

/** What GitHub makes of a heading; of the second one of a kind, and so on, with a number behind it. */
function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  const text = readFileSync(page, 'utf8').replace(/^```.*?^```$/gms, '')
  for (const [, heading = ''] of text.matchAll(/^#+ (.+)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
    let own = anchor
    for (let count = 1; anchors.has(own); count += 1) own = `${anchor}-${count}`
    anchors.add(own)
  }
  return anchors
}

test.each(pages)('every link of %s leads to a page, and to a heading of it', (page) => {
  const text = readFileSync(page, 'utf8').replace(/^```.*?^```$/gms, '')
  const links = [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
  const broken = links.filter(([, path = '', anchor]) => {
    const target = path === '' ? page : join(dirname(page), path)
    return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).has(anchor))
  })
  expect(broken.map(([link]) => link)).toEqual([])
})
