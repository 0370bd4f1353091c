/**
 * Goal: a local state and its mark hold together, whenever its process is killed. Method: kill -9 a process that applies
 * changes, again and again, and compare what is there with the mark.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openLmdbStateStores } from '../../../src/engines/lmdb/state-stores.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { temporaryFolder } from './temporary-folder.ts'

const program = fileURLToPath(new URL('state-process.ts', import.meta.url))

it('a state whose process is killed is that of its mark, and the next process goes on from there', {
  timeout: 180_000,
}, async () => {
  const folder = temporaryFolder()
  try {
    let last = 0
    for (let round = 0; round < 5; round += 1) {
      const child = fork(program, [folder.path], { execArgv: [] })
      const [told] = (await once(child, 'message')) as [number]
      child.kill('SIGKILL')
      await once(child, 'exit')
      const stores = await openLmdbStateStores({ runtime: new ManualRuntime(), folder: folder.path })
      const store = await stores.open({ logId: 'log', group: 'shop', partition: 0 })
      const sequence = store.applied?.sequence ?? 0
      expect(sequence).toBeGreaterThanOrEqual(Math.max(told, last))
      const values = await store.get(Array.from({ length: 10 }, (_, index) => `key-${index}`))
      const texts = values.map((value) => new TextDecoder().decode(value).slice(0, `${sequence} `.length))
      expect(texts).toEqual(Array.from({ length: 10 }, () => `${sequence} `))
      last = sequence
      await stores.close()
    }
  } finally {
    folder.remove()
  }
})
