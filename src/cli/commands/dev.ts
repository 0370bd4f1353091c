import { realpathSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { defaultLogUrl, parseLogUrl } from '../../app/open-engine.ts'
import { type CommandContext, misuse, wholeNumber, withCommonOptions } from '../command.ts'
import { type HeldPort, holdPort } from '../dev/held-port.ts'
import { PlainReport } from '../dev/plain-report.ts'
import { SourceWatch } from '../dev/source-watch.ts'
import { drainMs, type Ports, Supervisor } from '../dev/supervisor.ts'
import { Traffic } from '../dev/traffic.ts'
import { WaitingLine } from '../dev/waiting-line.ts'
import { atOption } from '../port-option.ts'
import { stopRequest } from '../stop-request.ts'

interface DevOptions {
  readonly port: number
  readonly platformPort: number
  readonly log?: string
  readonly forget?: readonly string[]
}

/** Adds `millrace dev`. */
export function addDev(program: Command, context: () => CommandContext): void {
  const command = program
    .command('dev')
    .description('start an application, and again whenever it is saved, with nothing lost between')
    .argument('<file>', 'the file whose default export is the application')
    .option('--port <port>', "the port of the application's own routes", wholeNumber(0, 65_535), 3000)
    .option('--platform-port <port>', "the platform's port", wholeNumber(0, 65_535), 4400)
    .option('--log <url>', `the log (default: MILLRACE_LOG, else ${defaultLogUrl})`)
    .option('--forget <handler...>', 'drop the pending work of handlers that are no longer there')
  withCommonOptions(command, 'show the log, and the stack and the cause of an error').action(
    async (file: string, options: DevOptions) => await dev(file, options, context()),
  )
}

async function dev(file: string, options: DevOptions, context: CommandContext): Promise<void> {
  const { output, runtime, environment } = context
  const path = checkFile(file)
  const log = options.log ?? environment.MILLRACE_LOG ?? defaultLogUrl
  parseLogUrl(log)
  const line = new WaitingLine<Ports>(runtime)
  const traffic = new Traffic()
  const held: HeldPort[] = []
  try {
    const platform = await atOption(
      '--platform-port',
      holdPort({ port: options.platformPort, line, traffic, upstreamOf: (ports: Ports) => ports.platform }),
    )
    held.push(platform)
    const app = await atOption(
      '--port',
      holdPort({ port: options.port, line, traffic, upstreamOf: (ports: Ports) => ports.app }),
    )
    held.push(app)
    const report = new PlainReport(output)
    const stop = stopRequest(process, runtime)
    const sources = new SourceWatch({
      folder: dirname(path),
      onChange: () => supervisor.reload(),
      onProblem: (folder, error) => output.warning(`${folder} cannot be watched: ${String(error)}`),
    })
    const supervisor: Supervisor = new Supervisor({
      file: path,
      start: {
        log,
        forget: options.forget ?? [],
        drainMs,
        json: output.json,
        verbose: output.verbose,
        urls: { platform: platform.url, app: app.url },
        watched: false,
      },
      colors: output.stdout.isTTY === true && environment.NO_COLOR === undefined,
      runtime,
      line,
      traffic,
      listener: report,
      sources,
    })
    stop.signal.addEventListener('abort', () => {
      report.onEvent({ kind: 'stopping' })
      supervisor.stop()
    })
    try {
      await supervisor.run()
    } finally {
      sources.close()
      stop.forget()
    }
  } finally {
    for (const port of held) await port.close()
  }
}

/** The absolute path of the file, as Node.js will name it. */
function checkFile(file: string): string {
  const path = resolve(file)
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return realpathSync(path)
  throw misuse(
    'There is no such file.',
    file,
    'Give the path of the file whose default export is the application.',
  )
}
