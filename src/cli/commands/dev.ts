import { realpathSync, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { defaultLogUrl, parseLogUrl } from '../../app/open-engine.ts'
import { MillraceError, messageOf } from '../../core/errors.ts'
import { type CommandContext, misuse, wholeNumber, withCommonOptions } from '../command.ts'
import { type HeldPort, holdPort } from '../dev/held-port.ts'
import { type Keyboard, LiveReport } from '../dev/live-report.ts'
import { type DevReport, PlainReport } from '../dev/plain-report.ts'
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
  const { runtime, environment } = context
  checkNode()
  const path = checkFile(file)
  const log = options.log ?? environment.MILLRACE_LOG ?? defaultLogUrl
  parseLogUrl(log)
  const line = new WaitingLine<Ports>(runtime)
  const traffic = new Traffic()
  const ports: HeldPort[] = []
  try {
    const { port, platformPort } = options
    const platform = await atOption(
      '--platform-port',
      holdPort<Ports>({ port: platformPort, line, traffic, upstreamOf: (target) => target.platform }),
    )
    ports.push(platform)
    const app = await atOption(
      '--port',
      holdPort<Ports>({ port, line, traffic, upstreamOf: (target) => target.app }),
    )
    ports.push(app)
    const urls = { platform: platform.url, app: app.url }
    await supervise({ path, log, urls, line, traffic, forget: options.forget ?? [] }, context)
  } finally {
    for (const port of ports) await port.close()
  }
}

interface DevParts {
  readonly path: string
  readonly log: string
  readonly forget: readonly string[]
  readonly urls: { readonly platform: string; readonly app: string }
  readonly line: WaitingLine<Ports>
  readonly traffic: Traffic
}

/** Runs the application until the process is told to stop. */
async function supervise({ path, log, forget, urls, line, traffic }: DevParts, context: CommandContext) {
  const { output, runtime, environment } = context
  const { json, verbose } = output
  const stop = stopRequest(process, runtime)
  const { report, watched } = reportOf(context, urls, () => supervisor.reload())
  const sources = new SourceWatch({
    folder: dirname(path),
    onChange: () => supervisor.reload(),
    onProblem: (folder, error) =>
      report.onEvent({ kind: 'note', text: `${folder} is not watched: ${messageOf(error)}` }),
  })
  const supervisor: Supervisor = new Supervisor({
    file: relative('', path),
    start: { log, forget, drainMs, json, verbose, urls, watched },
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
    report.close()
    sources.close()
    stop.forget()
  }
}

/** The live view where somebody looks on and can press keys; otherwise lines. */
function reportOf(
  { output, runtime, standardInput }: CommandContext,
  urls: DevParts['urls'],
  reload: () => void,
): { readonly report: DevReport; readonly watched: boolean } {
  const keyboard: Keyboard = standardInput
  const watched = !output.json && output.stdout.isTTY === true && keyboard.isTTY === true
  if (!watched) return { report: new PlainReport(output), watched }
  // Whatever quits does what an interrupt from outside does: the second time at once.
  const quit = () => process.kill(process.pid, 'SIGINT')
  const onAction = (action: 'reload' | 'quit') => (action === 'quit' ? quit() : reload())
  return { report: new LiveReport({ output, keyboard, runtime, urls, onAction }), watched }
}

/** An older Node.js would stumble over something else than the application first. */
function checkNode(): void {
  if (process.features.typescript) return
  const { version } = process
  const fix = `Run it with Node.js 24 or later: this is ${version}, which does not take TypeScript.`
  throw new MillraceError('APP_LOAD_FAILED', 'The file cannot be loaded.', { where: version, fix })
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
