import type { Output } from '../output.ts'
import { type DevEvent, devJson, devLines, lineStyles } from './dev-event.ts'
import type { SupervisorListener } from './supervisor.ts'

/** Tells what a supervisor does to whoever has called the command. */
export interface DevReport extends SupervisorListener {
  /** Tells no more of what goes on; what is told after that still appears. */
  close(): void
}

/** Tells what a supervisor does line by line: in words, or as JSON lines. The application's own lines pass through. */
export class PlainReport implements DevReport {
  readonly #output: Output

  constructor(output: Output) {
    this.#output = output
  }

  onEvent(event: DevEvent): void {
    const { stdout, json } = this.#output
    if (json) {
      const told = devJson(event)
      if (told !== undefined) stdout.write(`${JSON.stringify(told)}\n`)
      return
    }
    for (const { kind, text } of devLines(event, this.#output.verbose)) {
      stdout.write(`${kind === 'text' ? text : this.#output.style(lineStyles[kind], text)}\n`)
    }
  }

  /** With JSON, standard output is for the lines of the command alone. */
  onLine(line: string, stream: 'stdout' | 'stderr'): void {
    const { stdout, stderr, json } = this.#output
    const target = stream === 'stdout' && !json ? stdout : stderr
    target.write(`${line}\n`)
  }

  onActivity(): void {}

  close(): void {}
}
