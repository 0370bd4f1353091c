import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../../../src/testing/random.ts'
import { PostgresServer } from '../../../test/engines/postgres/server.ts'
import type { Cluster, ServerFault } from './cluster.ts'
import { SmallDisk } from './small-disk.ts'

const diskMegabytes = 160
const endsWithinMs = 20_000

/** One PostgreSQL server, as a log in production has it, on a disk that can be filled where this may mount one. */
export class PostgresCluster implements Cluster {
  readonly ports: readonly number[]
  readonly faults: Readonly<Record<string, ServerFault>>
  readonly mayLose = false
  readonly #server: PostgresServer
  readonly #disks: readonly SmallDisk[]
  readonly #schema: string

  private constructor(server: PostgresServer, disks: readonly SmallDisk[]) {
    const [disk, wal] = disks
    this.#server = server
    this.#disks = disks
    this.#schema = server.newSchema()
    this.ports = [server.port]
    this.faults = {
      'the server is restarted': (random) => this.#restart(random, () => server.stop()),
      'the server is killed': (random) => this.#restart(random, () => server.kill()),
      'the server is paused': (random) => this.#pause(random),
      ...(disk === undefined || wal === undefined
        ? {}
        : {
            'the disk is full': (random) => this.#fill(disk, random),
            "the disk of the server's own log is full": (random) => this.#fillWal(wal, random),
          }),
    }
  }

  static async start(): Promise<PostgresCluster> {
    const disks = [SmallDisk.mount(diskMegabytes), SmallDisk.mount(diskMegabytes)].filter(
      (disk) => disk !== undefined,
    )
    const [folder, walFolder] = disks.map((disk) => disk.newFolder())
    const folders =
      folder === undefined || walFolder === undefined ? {} : { folder, walFolder, walFileMegabytes: 1 }
    const settings = ['max_wal_size=64MB', 'min_wal_size=2MB']
    return new PostgresCluster(await PostgresServer.start(settings, folders), disks)
  }

  url([port = 0]: readonly number[]): string {
    return `postgres://postgres@127.0.0.1:${port}/postgres?schema=${this.#schema}`
  }

  async damage(): Promise<readonly string[]> {
    return []
  }

  async remove(): Promise<void> {
    this.#server.resume()
    await this.#server.remove()
    for (const disk of this.#disks) disk.remove()
  }

  async #restart(random: SeededRandom, end: () => Promise<void>): Promise<void> {
    await end()
    await sleep(random.between(0, 4_000))
    await this.#server.run()
  }

  async #pause(random: SeededRandom): Promise<void> {
    this.#server.pause()
    await sleep(random.between(500, 9_000))
    this.#server.resume()
  }

  async #fill(disk: SmallDisk, random: SeededRandom): Promise<void> {
    disk.fill()
    await sleep(random.between(1_000, 5_000))
    disk.clear()
  }

  /** The server ends itself, and somebody makes room and starts it again. */
  async #fillWal(disk: SmallDisk, random: SeededRandom): Promise<void> {
    disk.fill()
    for (let waitedMs = 0; waitedMs < endsWithinMs && this.#server.isRunning; waitedMs += 100)
      await sleep(100)
    await sleep(random.between(0, 2_000))
    disk.clear()
    if (!this.#server.isRunning) await this.#server.run()
  }
}
