import { storableJson } from '../core/event-codec.ts'
import { type Schema, validate } from '../core/schema.ts'
import type { HandlerDefinition, StateCell } from './definitions.ts'
import type { PartitionState } from './partition-state.ts'
import { stateLayout } from './state-layout.ts'

/** A state cell as a handler declares it, for all keys. */
export interface DeclaredCell {
  readonly name: string
  readonly handler: string
  readonly schema: Schema
  /** What the keys of its values begin with. */
  readonly prefix: string
}

/** The state cells of a handler. */
export function declaredCells({ name: handler, options }: HandlerDefinition): readonly DeclaredCell[] {
  return Object.entries(options.state ?? {}).map(([name, schema]) => {
    return { name, handler, schema, prefix: stateLayout.cell(handler, name, '') }
  })
}

/** What a cell of an attempt works with. */
export interface CellTools {
  readonly state: PartitionState
  /** The key of the event. */
  readonly key: string
  /** Throws when the attempt is over. */
  use(): void
}

/** A cell as one attempt sees it: what is committed or staged, with its own writes on top. */
export class AttemptCell implements StateCell<Schema> {
  readonly #declared: DeclaredCell
  readonly #tools: CellTools
  #stateKey: string | undefined
  #isWritten = false
  #written: string | undefined

  constructor(declared: DeclaredCell, tools: CellTools) {
    this.#declared = declared
    this.#tools = tools
  }

  /** The key of the value in the claim's state. */
  get stateKey(): string {
    this.#stateKey ??= this.#declared.prefix + this.#tools.key
    return this.#stateKey
  }

  /** Whether this attempt has set or deleted the value. */
  get isWritten(): boolean {
    return this.#isWritten
  }

  /** The JSON text that was set; undefined for a value that was deleted. */
  get written(): string | undefined {
    return this.#written
  }

  async get(): Promise<unknown> {
    this.#tools.use()
    const { state } = this.#tools
    if (this.#isWritten) return this.#parsed(this.#written)
    const known = state.known(this.stateKey)
    if (typeof known?.value === 'string') return JSON.parse(known.value)
    return this.#parsed(await state.get(this.stateKey))
  }

  set(value: unknown): void {
    this.#tools.use()
    const { schema, name, handler } = this.#declared
    this.#written = storableJson(checkedState(schema, value, handler, name), name)
    this.#isWritten = true
  }

  delete(): void {
    this.#tools.use()
    this.#written = undefined
    this.#isWritten = true
  }

  #parsed(text: string | undefined): unknown {
    return text === undefined ? defaultOf(this.#declared.schema) : JSON.parse(text)
  }
}

/** What a schema gives for nothing; undefined when it has no default. */
export async function defaultOf(schema: Schema): Promise<unknown> {
  const result = await schema['~standard'].validate(undefined)
  return result.issues === undefined ? result.value : undefined
}

function checkedState(schema: Schema, value: unknown, handler: string, cell: string): unknown {
  const output = validate(schema, value, {
    code: 'STATE_INVALID',
    what: `State '${cell}' of handler '${handler}'`,
  })
  if (output instanceof Promise) {
    throw new TypeError(`state '${cell}' of handler '${handler}' needs a schema that validates synchronously`)
  }
  return output
}
