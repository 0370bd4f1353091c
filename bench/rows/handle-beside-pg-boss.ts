import { type Row, rate } from '../harness/row.ts'
import { nameOfSize, teamSide, teamSizes } from '../harness/team.ts'

const row: Row = {
  name: 'handle-beside-pg-boss',
  what: 'publish → handler → done on PostgreSQL, 1,000 in flight in each process',
  figures: teamSizes.map((size) => rate(2, nameOfSize(size))),
  // Without ids, since pg-boss remembers none of jobs that are inserted like this.
  ours: teamSide('millrace-handle-without-ids', 'millrace on postgres', 'postgres'),
  peer: teamSide('pg-boss-handle', 'pg-boss, batches inserted and worked off', 'postgres'),
  server: 'postgres',
  weaker: 'as durable; no order by key, no schema; a batch is done or failed as a whole',
}
export default row
