import { emitKeypressEvents } from 'node:readline'
import type { Readable } from 'node:stream'
import { Wake } from '../../bus/wake.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Output } from '../output.ts'
import { type DevEvent, devLines, lineStyles } from './dev-event.ts'
import type { Activity } from './messages.ts'
import { openUrl } from './open-url.ts'
import type { DevReport } from './plain-report.ts'
import { Screen } from './screen.ts'
import { type ViewLine, viewLines } from './view-lines.ts'
import { afterActivity, afterEvent, afterKey, initialView, type Key, type ViewState } from './view-state.ts'

/** A stream that may be the keyboard. */
export type Keyboard = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown }

/** What the live view works with. */
export interface LiveReportOptions {
  readonly output: Output
  readonly keyboard: Keyboard
  readonly runtime: Runtime
  readonly urls: ViewState['urls']
  /** What a key asks for. */
  readonly onAction: (action: 'reload' | 'quit') => void
}

const redrawMs = 150
const styles = {
  title: 'bold',
  heading: 'dim',
  text: 'reset',
  failure: 'red',
  keys: 'dim',
} as const satisfies Record<ViewLine['kind'], string>

/** The live view of a terminal: what has happened above, what goes on in a block below it. */
export class LiveReport implements DevReport {
  readonly #options: LiveReportOptions
  readonly #screen: Screen
  readonly #wake = new Wake()
  readonly #stop = new AbortController()
  #view: ViewState
  #isClosed = false

  constructor(options: LiveReportOptions) {
    this.#options = options
    this.#screen = new Screen(options.output.stdout)
    this.#view = initialView(options.urls)
    const { keyboard, output, runtime } = options
    emitKeypressEvents(keyboard)
    keyboard.setRawMode?.(true)
    keyboard.on('keypress', this.#onKey).resume()
    output.stdout.on('resize', this.#redraw)
    runtime.spawn('live view', () => this.#drawWhenChanged())
    this.#redraw()
  }

  onEvent(event: DevEvent): void {
    this.#view = afterEvent(this.#view, event)
    const { output } = this.#options
    this.#print(devLines(event, output.verbose).map(({ kind, text }) => output.style(lineStyles[kind], text)))
  }

  onLine(line: string): void {
    this.#print([line])
  }

  onActivity(activity: Activity): void {
    this.#view = afterActivity(this.#view, activity)
    this.#redraw()
  }

  /** Leaves the terminal as it was; what was printed stays. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { keyboard, output } = this.#options
    this.#stop.abort('closed')
    this.#wake.notify()
    keyboard.off('keypress', this.#onKey).pause()
    keyboard.setRawMode?.(false)
    output.stdout.off('resize', this.#redraw)
    this.#screen.draw([])
  }

  readonly #redraw = () => this.#wake.notify()

  readonly #onKey = (_text: string | undefined, key: Key) => {
    const { view, action } = afterKey(this.#view, key)
    this.#view = view
    this.#redraw()
    if (action === 'open') this.#open()
    else if (action !== undefined) this.#options.onAction(action)
  }

  #open(): void {
    const { urls, runtime } = this.#options
    runtime.spawn('browser', async () => {
      if (!(await openUrl(urls.platform))) this.#print([`Open ${urls.platform}`])
    })
  }

  #print(lines: readonly string[]): void {
    if (this.#isClosed) this.#screen.print(lines, [])
    else this.#screen.print(lines.map(withoutMovement), this.#block())
  }

  #block(): readonly string[] {
    const { output, runtime } = this.#options
    const { columns = 80, rows = 24 } = output.stdout as { readonly columns?: number; readonly rows?: number }
    return viewLines(this.#view, { columns, rows }, runtime.now()).map(({ kind, text }) =>
      output.style(styles[kind], text),
    )
  }

  /** A few times a second at most, and only when there is something new; but ages go on. */
  async #drawWhenChanged(): Promise<void> {
    const { runtime } = this.#options
    while (!this.#stop.signal.aborted) {
      await this.#wake.waitAtMost(this.#ageMs(), runtime)
      if (this.#stop.signal.aborted) return
      this.#screen.draw(this.#block())
      await runtime.sleep(redrawMs, this.#stop.signal).catch(() => {})
    }
  }

  /** When the newest age that is shown will be another. */
  #ageMs(): number {
    const { events, handlers, deadLetters } = this.#view
    const newestMs = Math.max(events.at(-1)?.atMs ?? 0, deadLetters.at(-1)?.atMs ?? 0)
    const counts = handlers.some(({ parked }) => parked.sample.some(({ dueMs }) => dueMs !== undefined))
    if (newestMs === 0 && !counts) return Number.POSITIVE_INFINITY
    return counts || this.#options.runtime.now() - newestMs < 60_000 ? 1000 : 60_000
  }
}

/** An application's line with its colours, and without what would move the cursor. */
function withoutMovement(line: string): string {
  const [first = '', ...sequences] = line.replaceAll('\r', '').split('\u001b')
  const kept = sequences.map((text) =>
    /^\[[\d;]*m/.test(text) ? `\u001b${text}` : text.replace(/^\[[\d;?]*[A-Za-z]/, ''),
  )
  return [first, ...kept].join('')
}
