import { writeSync } from 'node:fs'
import { start } from 'millrace'
import { type Capture, stockApp } from './stock-table.ts'

/** A process of the application that takes in the changes of `stock`, until it is killed. Writes `started`. */
const [log = '', table = '', database = '', capture = 'triggers'] = process.argv.slice(2)
const { application } = stockApp({ table, from: 'start', database, capture: capture as Capture })
await start(application, { log, partitions: 4 })
writeSync(1, 'started\n')
