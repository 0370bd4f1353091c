import { app, event, on } from 'millrace'
import { z } from 'zod'

const carriers = (process.env.CARRIERS ?? '').split(',')

const ParcelPacked = event('parcels.packed', {
  schema: z.object({ parcel: z.string(), carrier: z.string() }),
  key: (data) => data.parcel,
})
const LabelPrinted = event('parcels.label.printed', {
  schema: z.object({ parcel: z.string() }),
  key: (data) => data.parcel,
})

const printLabel = on(
  ParcelPacked,
  { name: 'print-label', retry: { attempts: 2, baseMs: 10 } },
  ({ data: { parcel, carrier } }, ctx) => {
    if (!carriers.includes(carrier)) throw new Error(`no contract with '${carrier}' for ${parcel}`)
    ctx.emit(LabelPrinted, { parcel })
  },
)

export default app({ name: 'parcels', handlers: [printLabel], events: [LabelPrinted] })
