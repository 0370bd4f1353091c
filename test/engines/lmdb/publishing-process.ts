import { writeSync } from 'node:fs'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'

/**
 * A process that appends to the log in a folder, sixteen at a time, until it is killed. Writes `open`, then the number
 * of every event that was acknowledged, and the code of every error.
 */
const [folder = '', sizeBytes = '100', until = 'Infinity'] = process.argv.slice(2)
const say = (line: string) => writeSync(1, `${line}\n`)

try {
  const engine = await openLmdb(folder, { runtime: realRuntime(), partitions: 2 })
  await engine.createTopic('orders', {})
  say('open')
  const padding = 'x'.repeat(Number(sizeBytes))
  let next = 0
  const publish = async () => {
    while (next < Number(until)) {
      const number = next
      next += 1
      const value = new TextEncoder().encode(JSON.stringify({ number, padding }))
      try {
        await engine.append([{ topic: 'orders', partition: 1, value, timeMs: number }])
        say(`acknowledged ${number}`)
      } catch (error) {
        say(`refused ${number} ${(error as { code?: string }).code}`)
      }
    }
  }
  await Promise.all(Array.from({ length: 16 }, publish))
  const { end } = await engine.bounds({ topic: 'orders', partition: 1 })
  await engine.close()
  say(`closed ${end}`)
} catch (error) {
  const { code, message, facts } = error as { code?: string; message?: string; facts?: { pid?: number } }
  say(`failed ${code} ${facts?.pid} ${message}`)
}
