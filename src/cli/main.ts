#!/usr/bin/env node
import { realRuntime } from '../core/real-runtime.ts'
import { boundGarbage } from './bound-garbage.ts'
import { run } from './program.ts'

boundGarbage()

// Whoever reads our output may stop reading, as `head` does: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
}

const code = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  environment: process.env,
  runtime: realRuntime(),
})

// An application may have left timers or connections open; they do not keep a process alive that is done.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise((resolve) => stream.write('', resolve))
}
process.exit(code)
