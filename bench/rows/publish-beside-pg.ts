import { type Row, rate } from '../harness/row.ts'
import { nameOfSize, teamSide, teamSizes } from '../harness/team.ts'

const row: Row = {
  name: 'publish-beside-pg',
  what: 'publish into PostgreSQL, 1,000 in flight in each process',
  figures: teamSizes.map((size) => rate(0.7, nameOfSize(size))),
  ours: teamSide('millrace-publish', 'millrace on postgres', 'postgres'),
  peer: teamSide('pg-publish', 'bare pg, batched inserts', 'postgres'),
  server: 'postgres',
  weaker:
    'as durable, and ids are unique; no schema, no checksum, nobody is told, and readers can pass over rows that commit late',
}
export default row
