import { type Row, rate } from '../harness/row.ts'
import { nameOfSize, teamSide, teamSizes } from '../harness/team.ts'

const row: Row = {
  name: 'publish-on-jetstream',
  what: 'publish into JetStream, 1,000 in flight in each process',
  figures: teamSizes.map((size) => rate(0.7, nameOfSize(size))),
  ours: teamSide('millrace-publish', 'millrace on nats', 'nats-server'),
  peer: teamSide('jetstream-publish', 'bare JetStream, ids, files', 'nats-server'),
  server: 'nats-server',
  weaker: 'as durable, and ids are remembered as long; no schema, no order where a message is sent again',
}
export default row
