import { Queue, Worker } from 'bullmq'
import { closedLoop, sample } from './load.ts'
import type { Side } from './row.ts'

/** What BullMQ does not promise and ours does, for the notes below the table. */
export const bullmqIsWeaker =
  'as durable (appendfsync always); no order by key, no schema; a job and what its handler does are not one transaction'

/** BullMQ with one process that adds and works, 100 jobs at a time; finished jobs are removed, which is its fastest. */
export const bullmq: Side = {
  what: 'BullMQ, add and process',
  async start(settings) {
    const connection = {
      port: settings.ports['redis-server'] ?? 0,
      host: '127.0.0.1',
      enableAutoPipelining: true,
    }
    const queue = new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true } })
    let finished = 0
    let told: (() => void) | undefined
    const worker = new Worker('bench', async () => {}, { connection, concurrency: 100 })
    worker.on('completed', () => {
      finished += 1
      told?.()
    })
    await worker.waitUntilReady()
    let added = 0
    const add = (n: number) => {
      added += 1
      return queue.add('bench', sample(n), { jobId: `e${n}` })
    }
    const allFinished = () =>
      new Promise<void>((resolve) => {
        told = () => finished >= added && resolve()
        told()
      })
    const round = async () => {
      const options = { seconds: settings.seconds, from: added, until: allFinished }
      return closedLoop(add, options)
    }
    const stop = async () => {
      await worker.close()
      await queue.close()
    }
    return { round, stop }
  },
}
