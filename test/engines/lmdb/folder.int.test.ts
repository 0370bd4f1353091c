import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { shopFile, Workplace } from '../../cli/process.ts'

const start = (log: string) => [
  'start',
  shopFile,
  '--port',
  '0',
  '--platform-port',
  '0',
  '--log',
  `lmdb:${log}`,
]

test.skipIf(!existsSync('/proc/self'))(
  'a folder that the system does not make is refused, and nothing hangs',
  async () => {
    await using place = await Workplace.make()
    for (const folder of ['/proc/log', '/proc/logs/of/shop']) {
      const { code, stderr } = await place.run(start(folder))
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: STORAGE_FAILED: /)
    }
  },
)

test('a folder is made with those above it, and a file in its place is refused', async () => {
  await using place = await Workplace.make()
  await writeFile(place.path('file'), '')
  for (const folder of ['file', 'file/log']) {
    expect((await place.run(start(folder))).stderr).toMatch(/^error: STORAGE_FAILED: /)
  }
  const { child, ended } = await place.start(['--log', 'lmdb:logs/of/shop'])
  expect(existsSync(place.path('logs/of/shop/data.mdb'))).toBe(true)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})
