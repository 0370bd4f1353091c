import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLmdbStateStores } from '../../../src/engines/lmdb/state-stores.ts'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import type { StateName, StateStores } from '../../../src/log/state-store.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { temporaryFolder } from './temporary-folder.ts'

const name: StateName = { logId: 'log', group: 'shop', partition: 3 }
const bytes = (text: string) => new TextEncoder().encode(text)
const put = (key: string, text: string) => ({ key, value: bytes(text) })
const runtime = new ManualRuntime()

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder.remove())

const kinds: readonly (readonly [string, () => Promise<StateStores>])[] = [
  ['in memory', async () => new MemoryStateStores()],
  ['on disk', () => openLmdbStateStores({ runtime, folder: folder.path })],
]

describe.each(kinds)('a local state %s', (_, open) => {
  it('is empty at first, and has what was applied, with the mark of it', async () => {
    const stores = await open()
    const store = await stores.open(name)
    expect(store.applied).toBeUndefined()
    await store.apply({ puts: [put('a', 'one'), put('b', 'two')], deletes: [] }, { sequence: 4, chain: 9 })
    await store.apply({ puts: [put('c', 'three')], deletes: ['a', 'never'] }, { sequence: 6, chain: 7 })
    expect(store.applied).toEqual({ sequence: 6, chain: 7 })
    expect(await store.get(['a', 'b', 'c'])).toEqual([undefined, bytes('two'), bytes('three')])
    expect(await store.range({ from: '', to: 'z', limit: 1 })).toEqual([put('b', 'two')])
    await stores.close()
  })

  it('puts what it deletes in the same change', async () => {
    const stores = await open()
    const store = await stores.open(name)
    await store.apply({ puts: [put('a', 'new')], deletes: ['a'] }, undefined)
    expect(await store.get(['a'])).toEqual([bytes('new')])
    await stores.close()
  })

  it('is of one claim', async () => {
    const stores = await open()
    const store = await stores.open(name)
    await store.apply({ puts: [put('a', 'one')], deletes: [] }, { sequence: 1, chain: 1 })
    for (const other of [{ group: 'sho' }, { partition: 4 }]) {
      const apart = await stores.open({ ...name, ...other })
      expect(apart.applied).toBeUndefined()
      expect(await apart.range({ from: '', to: 'z', limit: 9 })).toEqual([])
      await apart.clear()
    }
    expect(await store.get(['a'])).toEqual([bytes('one')])
    await stores.close()
  })

  it('is empty once it was cleared, and counts as unfinished until a mark is there', async () => {
    const stores = await open()
    const store = await stores.open(name)
    const many = Array.from({ length: 2_500 }, (_, index) => put(`key-${index}`, 'value'))
    await store.apply({ puts: many, deletes: [] }, { sequence: 1, chain: 1 })
    await store.clear()
    expect(store.applied).toBeUndefined()
    expect(await store.range({ from: '', to: 'z', limit: 9 })).toEqual([])
    await store.apply({ puts: [put('a', 'one')], deletes: [] }, undefined)
    expect(store.applied).toBeUndefined()
    await stores.close()
  })
})

describe('local states on disk', () => {
  const open = () => openLmdbStateStores({ runtime, folder: folder.path })

  it('are there for the next process of the machine', async () => {
    const before = await open()
    await (await before.open(name)).apply({ puts: [put('a', 'one')], deletes: [] }, { sequence: 4, chain: 9 })
    await before.close()
    const after = await open()
    const store = await after.open(name)
    expect(store.applied).toEqual({ sequence: 4, chain: 9 })
    expect(await store.get(['a'])).toEqual([bytes('one')])
    await after.close()
  })

  it('are not those of another log, and make room for them', async () => {
    const before = await open()
    await (await before.open(name)).apply({ puts: [put('a', 'one')], deletes: [] }, { sequence: 4, chain: 9 })
    await before.close()
    const other = await open()
    const [apart, beside] = await Promise.all([
      other.open({ ...name, logId: 'other' }),
      other.open({ ...name, logId: 'other', group: 'cellar' }),
    ])
    expect([apart.applied, beside.applied]).toEqual([undefined, undefined])
    await apart.apply({ puts: [put('b', 'two')], deletes: [] }, { sequence: 1, chain: 1 })
    expect(await apart.range({ from: '', to: 'z', limit: 9 })).toEqual([put('b', 'two')])
    expect(await beside.range({ from: '', to: 'z', limit: 9 })).toEqual([])
    await other.close()
    const again = await open()
    const store = await again.open(name)
    expect(store.applied).toBeUndefined()
    expect(await store.get(['a'])).toEqual([undefined])
    await again.close()
  })

  it('are apart for every process that runs', async () => {
    const [first, second] = [await open(), await open()]
    await (await first.open(name)).apply({ puts: [put('a', 'one')], deletes: [] }, { sequence: 4, chain: 9 })
    expect((await second.open(name)).applied).toBeUndefined()
    await Promise.all([first.close(), second.close()])
  })

  it('go when the machine has been started anew, and nothing else goes', async () => {
    const former = '00000000-1111-2222-3333-444444444444'
    mkdirSync(join(folder.path, former, '0'), { recursive: true })
    writeFileSync(join(folder.path, 'notes.txt'), 'mine')
    await (await open()).close()
    const left = readdirSync(folder.path)
    expect(left).not.toContain(former)
    expect(left).toContain('notes.txt')
  })

  it('go elsewhere when what is there cannot be opened', async () => {
    await (await open()).close()
    const [boot = ''] = readdirSync(folder.path)
    const damaged = join(folder.path, boot, '0', 'data.mdb')
    writeFileSync(damaged, Buffer.alloc(100_000, 7))
    const stores = await open()
    const store = await stores.open(name)
    await store.apply({ puts: [put('a', 'one')], deletes: [] }, { sequence: 4, chain: 9 })
    expect(await store.get(['a'])).toEqual([bytes('one')])
    await stores.close()
  })

  it('that have no place are STORAGE_FAILED', async () => {
    const file = join(folder.path, 'file')
    writeFileSync(file, '')
    await expect(openLmdbStateStores({ runtime, folder: join(file, 'below') })).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    })
  })
})
