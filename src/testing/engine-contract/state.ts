import assert from 'node:assert/strict'
import { type Claim, maxStateKeyBytes } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { assertCloneable, change, put, textOf, textsAt } from './world.ts'

/** In the order of their UTF-8 bytes, which is not that of JavaScript's comparison. */
const orderedKeys = [
  '',
  '\u0000',
  '\u0000\u0000',
  '\u0001',
  '0',
  'A',
  'a',
  'a\u0000',
  'a\u0000b',
  'a\u0001',
  'aa',
  'a~',
  'a\u007f',
  'a\u0080',
  'aé',
  'a\u07ff',
  'a\u0800',
  'a\ud7ff',
  'a\ue000',
  'a\uffff',
  'a\u{10000}',
  'a\u{10000}b',
  'a\u{10ffff}',
  'b',
  '~',
]

const afterAll = '\u{10ffff}\u{10ffff}'

/** Rules about the keys and values of a claim: `get` and `range`. */
export function stateRules(suite: Suite): void {
  suite.chapter('state', () => {
    valueRules(suite)
    keyRules(suite)
    rangeRules(suite)
  })
}

function valueRules(suite: Suite): void {
  suite.rule(
    'get answers in the order of the keys, with nothing for those that are not there',
    async (world) => {
      const claim = (await world.join('makers')).claim(1)
      await claim.commit(change({ puts: [put('b', 'B'), put('a', 'A')] }))
      const values = await claim.get(['a', 'missing', 'b', 'a'])
      assert.deepEqual(values.map(textOf), ['A', undefined, 'B', 'A'])
      assertCloneable(values)
      assert.deepEqual(await claim.get([]), [])
    },
  )

  suite.rule('every acknowledged commit is seen', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    for (let index = 0; index < 20; index += 1) {
      await claim.commit(change({ puts: [put('count', String(index))] }))
      assert.deepEqual(await textsAt(claim, ['count']), [String(index)])
      const range = await claim.range({ from: 'count', to: 'count\u0000', limit: 1 })
      assert.deepEqual(
        range.map(({ value }) => textOf(value)),
        [String(index)],
      )
    }
  })

  suite.rule('values come out as they went in', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const large = new Uint8Array(1024 * 1024).fill(3)
    const part = new Uint8Array(30).fill(9).subarray(10, 15)
    await claim.commit(
      change({
        puts: [
          { key: 'all', value: new Uint8Array(all) },
          { key: 'empty', value: new Uint8Array() },
          { key: 'large', value: new Uint8Array(large) },
          { key: 'part', value: part },
        ],
      }),
    )
    const values = await claim.get(['all', 'empty', 'large', 'part'])
    assert.deepEqual(
      values.map((value) => value && new Uint8Array(value)),
      [all, new Uint8Array(), large, new Uint8Array(5).fill(9)],
    )
  })

  suite.rule('values that come out belong to the caller', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    await claim.commit(change({ puts: [put('key', 'value')] }))
    for (const value of await claim.get(['key'])) value?.fill(0)
    for (const { value } of await claim.range({ from: 'key', to: 'l', limit: 1 })) value.fill(0)
    assert.deepEqual(await textsAt(claim, ['key']), ['value'])
  })
}

function keyRules(suite: Suite): void {
  suite.rule('a key may have the most bytes allowed, in any script', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    const keys = [
      'k'.repeat(maxStateKeyBytes),
      '語'.repeat(maxStateKeyBytes / 3),
      '🦉'.repeat(maxStateKeyBytes / 4),
    ]
    await claim.commit(change({ puts: keys.map((key) => put(key, key.slice(0, 2))) }))
    assert.deepEqual(
      await textsAt(claim, keys),
      keys.map((key) => key.slice(0, 2)),
    )
  })

  suite.rule('a commit with a key that is too long or no valid Unicode is a TypeError', async (world) => {
    const member = await world.join('makers')
    for (const [partition, key] of ['k'.repeat(maxStateKeyBytes + 1), '語'.repeat(501), '\ud800'].entries()) {
      await assert.rejects(member.claim(partition).commit(change({ puts: [put(key, 'value')] })), TypeError)
    }
  })

  suite.rule('keys are told apart however alike they are', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    await claim.commit(change({ puts: orderedKeys.map((key, index) => put(key, String(index))) }))
    assert.deepEqual(
      await textsAt(claim, orderedKeys),
      orderedKeys.map((_, index) => String(index)),
    )
  })
}

function rangeRules(suite: Suite): void {
  suite.rule('range gives keys in the order of their UTF-8 bytes', async (world) => {
    const claim = await withKeys((await world.join('makers')).claim(1))
    const found = await claim.range({ from: '', to: afterAll, limit: 1000 })
    assert.deepEqual(
      found.map(({ key }) => key),
      orderedKeys,
    )
    assertCloneable(found)
  })

  suite.rule('range begins at from and ends before to', async (world) => {
    const claim = await withKeys((await world.join('makers')).claim(1))
    for (const [first, from] of orderedKeys.entries()) {
      for (const [last, to] of orderedKeys.entries()) {
        const keys = (await claim.range({ from, to, limit: 1000 })).map(({ key }) => key)
        assert.deepEqual(keys, orderedKeys.slice(first, Math.max(first, last)))
      }
    }
  })

  suite.rule(
    'range gives at most as many keys as asked for, and can go on behind the last',
    async (world) => {
      const claim = await withKeys((await world.join('makers')).claim(1))
      const keys: string[] = []
      let from = ''
      for (;;) {
        const page = await claim.range({ from, to: afterAll, limit: 4 })
        assert(page.length <= 4)
        const last = page.at(-1)
        if (last === undefined) break
        keys.push(...page.map(({ key }) => key))
        from = `${last.key}\u0000`
      }
      assert.deepEqual(keys, orderedKeys)
    },
  )

  suite.rule('range gives what was put and not what was deleted', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    const keysNow = async () => (await claim.range({ from: 'a', to: 'z', limit: 100 })).map(({ key }) => key)
    await claim.commit(change({ puts: ['d', 'b', 'f'].map((key) => put(key, '1')) }))
    assert.deepEqual(await keysNow(), ['b', 'd', 'f'])
    await claim.commit(change({ puts: [put('c', '1'), put('b', '2')], deletes: ['d'] }))
    assert.deepEqual(await keysNow(), ['b', 'c', 'f'])
    await claim.commit(change({ puts: [put('d', '3')], deletes: ['f', 'b', 'c'] }))
    assert.deepEqual(await keysNow(), ['d'])
    await claim.commit(change({ deletes: ['d'] }))
    await claim.commit(change({ puts: [put('d', '4')] }))
    assert.deepEqual(await keysNow(), ['d'])
  })

  suite.rule('range gives keys of its own partition and group only', async (world) => {
    const [one, two] = [await world.join('g'), await world.join('g2')]
    for (const claim of [...one.claims, ...two.claims]) {
      await claim.commit(change({ puts: [put(`${claim.group}-${claim.partition}`, 'value')] }))
    }
    for (const claim of [...one.claims, ...two.claims]) {
      const found = await claim.range({ from: '', to: afterAll, limit: 100 })
      assert.deepEqual(
        found.map(({ key }) => key),
        [`${claim.group}-${claim.partition}`],
      )
    }
  })
}

async function withKeys(claim: Claim): Promise<Claim> {
  const shuffled = orderedKeys.map((_, index) => orderedKeys[(index * 7) % orderedKeys.length] ?? '')
  await claim.commit(change({ puts: shuffled.map((key) => put(key, 'value')) }))
  return claim
}
