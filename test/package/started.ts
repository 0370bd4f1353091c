import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { environment } from './packed.ts'

/** An application that the installed command started, on free ports. */
export class StartedCommand implements AsyncDisposable {
  readonly #child

  constructor(folder: string) {
    const args = ['start', 'app.ts', '--port', '0', '--platform-port', '0', '--json']
    this.#child = spawn('node_modules/.bin/millrace', args, {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  /** The URL of the application's routes, once they answer. */
  async url(): Promise<string> {
    for await (const line of createInterface({ input: this.#child.stdout })) {
      return (JSON.parse(line) as { readonly urls: { readonly app: string } }).urls.app
    }
    throw new Error('millrace start has ended')
  }

  /** Tells it to stop; gives its exit code. */
  async stop(): Promise<number | null> {
    const closed = once(this.#child, 'close') as Promise<[number | null]>
    this.#child.kill('SIGTERM')
    return (await closed)[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

/** Sends a JSON body; gives the status. */
export async function post(url: string, body: unknown): Promise<number> {
  const { status } = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return status
}

/** The JSON that a URL answers with. */
export async function get(url: string): Promise<unknown> {
  return (await fetch(url)).json()
}
