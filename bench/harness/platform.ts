import { servePlatform } from 'millrace/gateway'
import { benchApp, startOnCopy } from './bench-app.ts'
import type { HttpLoad } from './http-load.ts'
import { HttpLoader } from './http-loader.ts'
import type { Contestant, Settings } from './row.ts'

/** The platform's port under load. */
export async function platformUnderLoad(
  settings: Settings,
  load: Pick<HttpLoad, 'batch' | 'connections' | 'contentType'>,
): Promise<Contestant> {
  const { running, stop } = await startOnCopy(benchApp(), settings)
  const server = await servePlatform(running, { port: 0 })
  const loader = new HttpLoader()
  return {
    round: () => loader.round({ ...load, port: server.port, seconds: settings.seconds }),
    stop: async () => {
      await loader.stop()
      await server.close()
      await stop()
    },
  }
}
