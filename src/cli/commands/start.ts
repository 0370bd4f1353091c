import type { Command } from 'commander'
import type { App } from '../../app/app.ts'
import type { MainOptions } from '../../app/main.ts'
import { defaultLogUrl, shownLogUrl } from '../../app/open-engine.ts'
import type { RunningApp } from '../../app/running.ts'
import type { Listening } from '../../gateway/index.ts'
import { type CommandContext, wholeNumber, withCommonOptions } from '../command.ts'
import { loadApp } from '../load-app.ts'
import { loggerOf } from '../logger.ts'
import type { Output } from '../output.ts'
import { atOption } from '../port-option.ts'
import { runMain } from '../run-main.ts'
import { stopRequest } from '../stop-request.ts'

interface StartCommandOptions {
  readonly port: number
  readonly platformPort: number
  readonly log?: string
  readonly forget?: readonly string[]
  readonly closeAfterMs: number
}

/** Adds `millrace start`. */
export function addStart(program: Command, context: () => CommandContext): void {
  const command = program
    .command('start')
    .description('start an application and serve its ports until it is told to stop')
    .argument('<file>', 'the file whose default export is the application')
    .option('--port <port>', "the port of the application's own routes", wholeNumber(0, 65_535), 3000)
    .option('--platform-port <port>', "the platform's port", wholeNumber(0, 65_535), 4400)
    .option('--log <url>', `the log (default: MILLRACE_LOG, else ${defaultLogUrl})`)
    .option(
      '--close-after-ms <milliseconds>',
      'when it is told to stop, how long /health/ready says so before the ports close',
      wholeNumber(0, 600_000),
      0,
    )
    .option('--forget <handler...>', 'drop everything that is kept of handlers that are no longer there')
  withCommonOptions(command, 'show the log, and the stack and the cause of an error').action(
    async (file: string, options: StartCommandOptions) => await startFile(file, options, context()),
  )
}

async function startFile(file: string, options: StartCommandOptions, context: CommandContext): Promise<void> {
  const { output, runtime, environment } = context
  const loaded = await loadApp(file)
  const log = options.log ?? environment.MILLRACE_LOG ?? defaultLogUrl
  const { start } = await import('../../app/start.ts')
  const logger = await loggerOf(output)
  const { forget = [] } = options
  const running = await start(loaded.app, { log, runtime, logger, forget })
  const stop = stopRequest(process, runtime)
  const ports: Listening[] = []
  try {
    const urls = await servePorts(running, options, ports)
    await summarize(output, loaded.app, { log: shownLogUrl(log), urls })
    await runMain(loaded, running, { json: output.json, signal: stop.signal, urls }, stop)
    output.note('Stopping: running handlers finish first. Once more to stop at once.')
    for (const port of ports) port.beginClosing()
    await runtime.sleep(options.closeAfterMs)
  } finally {
    for (const port of ports) await port.close()
    await running.stop()
    stop.forget()
  }
}

/** Serves the platform's port, and that of the application where it has routes. */
async function servePorts(
  running: RunningApp,
  options: StartCommandOptions,
  ports: Listening[],
): Promise<MainOptions['urls']> {
  const { serveApp, servePlatform } = await import('../../gateway/index.ts')
  const { port, platformPort } = options
  const platform = await atOption('--platform-port', servePlatform(running, { port: platformPort }))
  ports.push(platform)
  if (running.app.routes.length === 0) return { platform: platform.url }
  const app = await atOption('--port', serveApp(running, { port }))
  ports.push(app)
  return { platform: platform.url, app: app.url }
}

async function summarize(
  output: Output,
  app: App,
  { log, urls }: { readonly log: string; readonly urls: MainOptions['urls'] },
): Promise<void> {
  const handlers = app.handlers.map(({ name }) => name)
  if (output.json) return output.printJson({ started: app.name, pid: process.pid, log, urls, handlers })
  await output.print(output.style('bold', `${app.name} is running`))
  await output.print(`  platform  ${urls.platform}`)
  if (urls.app !== undefined) await output.print(`  routes    ${urls.app}`)
  await output.print(`  log       ${log}`)
  await output.print(`  handlers  ${handlers.join(', ') || 'none'}`)
}
