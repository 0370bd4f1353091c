import type { OutputStream } from '../output.ts'

const noWrap = '\x1b[?7l'
const wrap = '\x1b[?7h'

/** A block of lines at the end of a terminal's output, drawn anew in its place; other lines are written above it. */
export class Screen {
  readonly #stream: OutputStream
  #height = 0

  constructor(stream: OutputStream) {
    this.#stream = stream
  }

  /** Writes lines that stay, above the block. */
  print(lines: readonly string[], block: readonly string[]): void {
    this.#write(lines.map((line) => `${line}\n`).join(''), block)
  }

  /** Draws the block. No line of it may be wider than the terminal, nor may it be as high. */
  draw(block: readonly string[]): void {
    this.#write('', block)
  }

  #write(above: string, block: readonly string[]): void {
    const back = this.#height === 0 ? '' : `\x1b[${this.#height}A\r\x1b[J`
    const drawn = block.map((line) => `${line}\n`).join('')
    // Characters that are wider than one column must not make a line two of them.
    this.#stream.write(`${back}${above}${drawn === '' ? '' : `${noWrap}${drawn}${wrap}`}`)
    this.#height = block.length
  }
}
