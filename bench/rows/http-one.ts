import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { HttpLoader } from '../harness/http-loader.ts'
import { platformUnderLoad } from '../harness/platform.ts'
import { type Row, rate } from '../harness/row.ts'

const connections = 256

const row: Row = {
  name: 'http-one',
  what: `POST /events, one event a request, ${connections} connections`,
  figures: [rate(0.6)],
  ours: {
    what: 'millrace',
    start: (settings) => {
      return platformUnderLoad(settings, {
        batch: 1,
        connections,
        contentType: 'application/cloudevents+json',
      })
    },
  },
  peer: {
    what: 'bare Fastify, parses and answers',
    async start(settings) {
      const server = fastify()
      server.post('/events', async (request) => ({ accepted: (request.body as { id: string }).id }))
      await server.listen({ port: 0, host: '127.0.0.1' })
      const { port } = server.server.address() as AddressInfo
      const loader = new HttpLoader()
      const load = { batch: 1, connections, contentType: 'application/json', port, seconds: settings.seconds }
      const stop = async () => {
        await loader.stop()
        await server.close()
      }
      return { round: () => loader.round(load), stop }
    },
  },
}
export default row
