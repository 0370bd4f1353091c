const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Writes numbers, texts and bytes one after another, little endian; {@link ByteReader} gives them back in the same order. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(sizeBytes = 256) {
    this.#bytes = new Uint8Array(sizeBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    const at = this.#take(1)
    this.#view.setUint8(at, value)
    return this
  }

  u32(value: number): this {
    const at = this.#take(4)
    this.#view.setUint32(at, value, true)
    return this
  }

  /** Any number that a double holds, safe integers and infinities among them. */
  f64(value: number): this {
    const at = this.#take(8)
    this.#view.setFloat64(at, value, true)
    return this
  }

  /** Bytes with their length. */
  bytes(value: Uint8Array): this {
    return this.u32(value.length).raw(value)
  }

  /** A text with its length. */
  text(value: string): this {
    return this.bytes(encoder.encode(value))
  }

  /** Bytes without their length. */
  raw(value: Uint8Array): this {
    const at = this.#take(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** What was written, without a copy: the writer must not be used any more. */
  end(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Makes room; the view may be another one afterwards. */
  #take(sizeBytes: number): number {
    const at = this.#length
    const needed = at + sizeBytes
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return at
  }
}

/** Reads what {@link ByteWriter} wrote. Every call throws `RangeError` where the bytes end too early. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** A copy of the bytes. */
  bytes(): Uint8Array {
    return new Uint8Array(this.raw(this.u32()))
  }

  text(): string {
    return decoder.decode(this.raw(this.u32()))
  }

  /** So many bytes, without a copy. */
  raw(sizeBytes: number): Uint8Array {
    const at = this.#take(sizeBytes)
    return this.#bytes.subarray(at, at + sizeBytes)
  }

  /** Makes room; the view may be another one afterwards. */
  #take(sizeBytes: number): number {
    if (sizeBytes > this.left) throw new RangeError(`${sizeBytes} bytes are asked for, ${this.left} are left`)
    const at = this.#at
    this.#at += sizeBytes
    return at
  }
}
