import { once } from 'node:events'
import { createServer } from 'node:net'
import { realRuntime } from '../../src/core/real-runtime.ts'

/**
 * A port that nobody listens on, and that no connection is given by the system: so it is still free when a server that was ended
 * is started again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(realRuntime().random() * 22_768)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
