import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../../../src/testing/random.ts'
import type { NatsProgram } from '../../../test/engines/nats/programs.ts'
import { NatsCluster, type NatsServer } from '../../../test/engines/nats/server.ts'
import type { Cluster, ServerFault } from './cluster.ts'

/** Three NATS servers, of which one leads the journals of a log. */
export class ThreeNatsServers implements Cluster {
  readonly ports: readonly number[]
  readonly faults: Readonly<Record<string, ServerFault>>
  readonly mayLose: boolean
  readonly #cluster: NatsCluster
  readonly #log: string

  private constructor(cluster: NatsCluster, program: NatsProgram | undefined) {
    this.#cluster = cluster
    this.mayLose = program?.isSound === false
    this.#log = cluster.newLog()
    this.ports = cluster.servers.map(({ port }) => port)
    this.faults = {
      'the leader is killed': async (random) => this.#kill(await this.#leader(), random),
      'a follower is killed': async (random) => this.#kill(await this.#follower(random), random),
      'the leader is paused': async (random) => this.#pause(await this.#leader(), random),
      'a follower is paused': async (random) => this.#pause(await this.#follower(random), random),
      'all servers are stopped': (random) => this.#stopAll(random),
      'servers are restarted in turn': () => this.#restartInTurn(),
    }
  }

  static async start(program: NatsProgram | undefined): Promise<ThreeNatsServers> {
    return new ThreeNatsServers(await NatsCluster.start(program), program)
  }

  url(ports: readonly number[]): string {
    return `nats://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${this.#log}`
  }

  /** Every replica of a stream must have the same messages, once all servers are up. */
  async damage(): Promise<readonly string[]> {
    // One that came back just now has yet to catch up.
    for (let looks = 0; looks < 240; looks += 1) {
      const found = await this.#differences()
      if (found.length === 0) return found
      await sleep(500)
    }
    return this.#differences()
  }

  async #differences(): Promise<readonly string[]> {
    const found: string[] = []
    for (const [stream, counts] of await this.#cluster.messagesByServer()) {
      if (new Set(counts.values()).size < 2) continue
      const told = [...counts].map(([server, messages]) => `${server} has ${messages} messages`)
      found.push(`the replicas of stream ${stream} differ for good: ${told.join(', ')}`)
    }
    return found
  }

  async remove(): Promise<void> {
    for (const server of this.#cluster.servers) server.resume()
    await this.#cluster.remove()
  }

  #leader(): Promise<NatsServer> {
    return this.#cluster.leaderOf(`${this.#log}_journals`)
  }

  async #follower(random: SeededRandom): Promise<NatsServer> {
    const leader = await this.#leader()
    return random.pick(this.#cluster.servers.filter((server) => server !== leader))
  }

  async #kill(server: NatsServer, random: SeededRandom): Promise<void> {
    await server.kill()
    await sleep(random.between(0, 12_000))
    await server.run()
  }

  async #pause(server: NatsServer, random: SeededRandom): Promise<void> {
    server.pause()
    await sleep(random.between(500, 12_000))
    server.resume()
  }

  /** In order: killed all at once they lose what they had acknowledged, as the engine says (`powerLossSafe` is false). */
  async #stopAll(random: SeededRandom): Promise<void> {
    await Promise.all(this.#cluster.servers.map((server) => server.stop()))
    await sleep(random.between(0, 3_000))
    await Promise.all(this.#cluster.servers.map((server) => server.run()))
  }

  async #restartInTurn(): Promise<void> {
    for (const server of this.#cluster.servers) {
      await server.stop()
      await server.run()
      await this.#cluster.ready()
    }
  }
}
