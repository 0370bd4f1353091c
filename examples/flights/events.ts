import { event } from 'millrace'
import { z } from 'zod'

/** A flight as the data has it. */
export const Flight = z.object({
  date: z.string(),
  origin: z.string(),
  destination: z.string(),
  /** In miles. */
  distance: z.int(),
  /** In minutes; negative when it was early. */
  delay: z.int(),
})
export type Flight = z.infer<typeof Flight>

/** A flight has landed. Order and state are kept for each airport that flights land at. */
export const FlightLanded = event('flight.landed', {
  schema: Flight,
  key: ({ destination }) => destination,
})

/** A flight was so late that somebody must be told. */
export const FlightDelayed = event('flight.delayed', {
  schema: z.object({ flight: z.string(), origin: z.string(), destination: z.string(), delay: z.int() }),
  key: ({ destination }) => destination,
  topic: 'alerts',
})

/** So many flights of a file are in the log. */
export const ImportProgressed = event('import.progressed', {
  schema: z.object({ file: z.string(), imported: z.int() }),
  key: ({ file }) => file,
  topic: 'imports',
})
