/** One line on standard error that says what is under way: written over on a terminal, one below the other elsewhere. */
export class Progress {
  readonly #overwrites = process.stderr.isTTY
  #last = ''

  /** Says what is under way now. */
  tell(text: string): void {
    if (text === this.#last) return
    this.#last = text
    process.stderr.write(this.#overwrites ? `\r\u001b[K${text}` : `${text}\n`)
  }

  /** Says something that stays. */
  say(text: string): void {
    this.end()
    process.stderr.write(`${text}\n`)
  }

  /** Leaves the line empty for what follows. */
  end(): void {
    if (this.#overwrites && this.#last !== '') process.stderr.write('\r\u001b[K')
    this.#last = ''
  }
}
