import type { EngineOptions } from '../../log/port.ts'
import type { EngineUnderTest } from './engine-under-test.ts'
import { World } from './world.ts'

/** States rules about an engine, one test for each. */
export class Suite {
  readonly engine: EngineUnderTest

  constructor(engine: EngineUnderTest) {
    this.engine = engine
  }

  /** Whether what was stored is still there when the log is opened again. */
  get keepsData(): boolean {
    return this.engine.capabilities.persistent || this.engine.severalProcesses
  }

  chapter(name: string, define: () => void): void {
    this.engine.test.describe(name, define)
  }

  /** A test on a new log of 4 partitions, unless the options say otherwise, with a topic `orders`. */
  rule(name: string, check: (world: World) => Promise<void>, options: EngineOptions = {}): void {
    this.engine.test.it(name, async () => {
      const world = await World.create(this.engine, { partitions: 4, ...options })
      try {
        await world.engine.createTopic('orders', {})
        await check(world)
        world.checkBackground()
      } finally {
        await world.end()
      }
    })
  }
}
