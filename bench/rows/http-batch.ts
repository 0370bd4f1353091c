import { platformUnderLoad } from '../harness/platform.ts'
import { type Row, rate } from '../harness/row.ts'
import { publishing } from './publish-beside-lmdb.ts'

const contentType = 'application/cloudevents-batch+json'

const row: Row = {
  name: 'http-batch',
  what: 'POST /events, batches of 100, 16 connections',
  figures: [rate(0.5)],
  ours: {
    what: 'millrace',
    start: (settings) => platformUnderLoad(settings, { batch: 100, connections: 16, contentType }),
  },
  peer: { ...publishing, what: 'publish in process' },
}
export default row
