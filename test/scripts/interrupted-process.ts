// A process that is told to end, and never comes to it.
import { Interruption } from '../../scripts/torture/interruption.ts'

const interruption = new Interruption(() => process.stdout.write('at once\n'), 0)
process.stdin.resume()
interruption.signalled.then(
  (signal) => process.stdout.write(`${signal}\n`),
  () => {},
)
process.stdout.write('ready\n')
