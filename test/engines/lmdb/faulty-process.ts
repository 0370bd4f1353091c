import { createInterface } from 'node:readline'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openLmdb } from '../../../src/engines/lmdb/lmdb-engine.ts'

/**
 * A process that has the log of a folder open, and answers each line of standard input by one of standard output:
 * `append TEXT`, `read`, `commit KEY`, `memory` (in bytes) and `close`.
 */
const [folder = ''] = process.argv.slice(2)
const at = { topic: 'orders', partition: 1 }
const everything = { records: 100_000, bytes: 1_000_000_000 }
const engine = await openLmdb(folder, { runtime: realRuntime(), partitions: 2 })
await engine.createTopic(at.topic, {})
const claims = new Map<number, Awaited<Parameters<Parameters<typeof engine.join>[2]>[0]>>()
await engine.join('readers', { id: 'member' }, (claim) => claims.set(claim.partition, claim))
console.log('open')

async function answer(command: string, argument: string): Promise<unknown> {
  switch (command) {
    case 'append':
      return (await engine.append([{ ...at, value: Buffer.from(argument), timeMs: 1 }]))[0]?.offset
    case 'read': {
      const { records } = await engine.read(at, 0, everything)
      return records.map(({ value }) => Buffer.from(value).toString())
    }
    case 'commit': {
      const puts = [{ key: argument, value: new Uint8Array([1]) }]
      await claims.get(at.partition)?.commit({ puts, deletes: [], appends: [] })
      return claims.get(at.partition)?.epoch
    }
    case 'memory':
      return process.memoryUsage().rss
    default:
      return await engine.close()
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command = '', ...rest] = line.split(' ')
  try {
    console.log(JSON.stringify({ answer: await answer(command, rest.join(' ')) }))
  } catch (error) {
    console.log(JSON.stringify({ code: (error as { code?: string }).code }))
  }
  if (command === 'close') process.exit()
}
