import { type Row, rate } from '../harness/row.ts'
import { nameOfSize, teamSide, teamSizes } from '../harness/team.ts'

const row: Row = {
  name: 'handle-on-jetstream',
  what: 'publish → handler → done on JetStream, 1,000 in flight in each process',
  figures: teamSizes.map((size) => rate(0.25, nameOfSize(size))),
  ours: teamSide('millrace-handle', 'millrace on nats', 'nats-server'),
  peer: teamSide('jetstream-handle', 'bare JetStream, a shared consumer', 'nats-server'),
  server: 'nats-server',
  weaker:
    'acknowledging is not awaited, and is not durable when it is sent; no order by key, no state, no retry with a delay; a message may be handled twice',
}
export default row
