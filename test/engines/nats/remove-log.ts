import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { readSettings } from '../../../src/engines/nats/settings.ts'

/** Removes every stream of a log, as somebody would who does not want it any more. */
export async function removeLog(url: string): Promise<void> {
  const { servers, log } = readSettings(url)
  const client = await connect({ servers: [...servers] })
  try {
    const manager = await jetstreamManager(client, { timeout: 20_000 })
    for await (const name of manager.streams.names()) {
      if (/^(OBJ_)?([^_]+)_/.exec(name)?.[2] === log) await manager.streams.delete(name)
    }
  } finally {
    await client.close()
  }
}
