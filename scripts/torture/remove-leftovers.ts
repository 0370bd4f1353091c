// A process that takes away what a worker has left, whose parent is there no more.
import { type Leftovers, removeLeftovers } from './leftovers.ts'

await removeLeftovers(JSON.parse(process.argv[2] ?? '') as Leftovers)
